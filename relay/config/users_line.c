#include "relay/base/mem.h"
#include "relay/base/text.h"
#include "relay/config/users.h"

#include <crypt.h>
#include <openssl/rand.h>
#include <stdlib.h>

struct slice
users_line_name(struct slice line)
{
    if (line.len > 0 && line.p[0] == '#')
        line.len = 0;
    return slice_cut(&line, ':');
}

bool
users_check_password(struct slice text, struct err *err)
{
    if (text.len == 0)
        return err_set(err, ERR_INPUT, "the password is empty");
    if (text.len > USERS_PASSWORD_MAX)
        return err_set(err, ERR_LIMIT, "a password has at most %d octets",
                       USERS_PASSWORD_MAX);
    if (!text_is_utf8(text))
        return err_set(err, ERR_INPUT, "the password is no UTF-8");
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f)
            return err_set(err, ERR_INPUT,
                           "the password holds a control character");
    return true;
}

static bool
add_hash(struct slice password, struct buf *out, struct err *err)
{
    struct crypt_data *data = mem_new(struct crypt_data);
    char *text = mem_copy(password), salt[CRYPT_GENSALT_OUTPUT_SIZE];
    const char *hash = NULL;

    /* Salt and cost are the library's choice. */
    if (crypt_gensalt_rn("$y$", 0, NULL, 0, salt, sizeof(salt)))
        hash = crypt_rn(text, salt, data, sizeof(*data));
    if (hash)
        buf_add_text(out, hash);
    explicit_bzero(text, password.len);
    explicit_bzero(data, sizeof(*data));
    free(text);
    free(data);
    return hash || err_errno(err, "yescrypt");
}

bool
users_add_line(struct slice name, struct slice senders, struct slice password,
               bool has_verifier, struct buf *out, struct err *err)
{
    struct smtp_sasl_verifier verifier;
    char salt[USERS_SALT_LEN];

    buf_add(out, name);
    buf_add_byte(out, ':');
    if (!add_hash(password, out, err))
        return false;
    if (senders.len > 0 || has_verifier) {
        buf_add_byte(out, ':');
        buf_add(out, senders);
    }
    if (has_verifier) {
        if (RAND_bytes((unsigned char *)salt, sizeof(salt)) != 1)
            return err_set(err, ERR_SYSTEM, "there are no random numbers");
        smtp_sasl_verifier_make(password, (struct slice){salt, sizeof(salt)},
                                USERS_ITERATIONS, &verifier);
        buf_add_byte(out, ':');
        smtp_sasl_verifier_format(&verifier, out);
    }
    buf_add_byte(out, '\n');
    return true;
}
