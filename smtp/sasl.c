#include "smtp/sasl.h"

static const char *const names[] = {
    [SMTP_SASL_PLAIN] = "PLAIN",
    [SMTP_SASL_LOGIN] = "LOGIN",
    [SMTP_SASL_SCRAM_SHA_256] = "SCRAM-SHA-256",
    [SMTP_SASL_XOAUTH2] = "XOAUTH2",
    [SMTP_SASL_OAUTHBEARER] = "OAUTHBEARER",
};

const char *
smtp_sasl_name(enum smtp_sasl_mechanism m)
{
    return names[m];
}

bool
smtp_sasl_find(struct slice name, enum smtp_sasl_mechanism *out)
{
    for (enum smtp_sasl_mechanism m = 0; m < SMTP_SASL_COUNT; m++)
        if (slice_is_nocase(name, names[m])) {
            *out = m;
            return true;
        }
    return false;
}
