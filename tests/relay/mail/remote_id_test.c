#include "relay/mail/remote_id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define X50 "x123456789x123456789x123456789x123456789x123456789"

static const struct {
    const char *text, *id; /* NULL: it says none */
} cases[] = {
    /* Postfix, also in front of another one */
    {"Ok: queued as 4XyZ0pBq12z3f", "4XyZ0pBq12z3f"},
    {"Ok: queued as 9F2A61C0E7", "9F2A61C0E7"},
    {"from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 6B1C2D3E4F",
     "6B1C2D3E4F"},
    {"Ok, id=1-2, from MTA: 250 2.0.0 Ok: queued as AB12", "AB12"},
    {"queued as 1 after it was queued as 2", "2"},
    {"Message Queued as <7a.b>", NULL},
    {"Ok: Queued As 7a.b-c_d+e/f=.", "7a.b-c_d+e/f="},
    {"ok (queued as 0abc123def)", "0abc123def"},
    {"ok (queued as 0abc), thanks", "0abc"},
    /* Exim */
    {"OK id=1rGhXk-0003Uf-2b", "1rGhXk-0003Uf-2b"},
    {"OK id=1rGhXk-0003Uf-2b; bye", "1rGhXk-0003Uf-2b"},
    {"ok [id=77]", "77"},
    /* sendmail, OpenSMTPD */
    {"49NBxyzA012345 Message accepted for delivery", "49NBxyzA012345"},
    {"d2b7c1a0 message accepted for delivery", "d2b7c1a0"},
    /* what is none, or is not clearly one */
    {"", NULL},
    {"OK", NULL},
    {"queued as", NULL},
    {"queued as ", NULL},
    {"queued as  12", NULL},
    {"queued as requested", NULL},
    {"unqueued as 12", NULL},
    {"Great success", NULL},
    {"id=", NULL},
    {"id=<1@example.com>", NULL},
    {"InternalId=12345", NULL},
    {"[InternalId=12345, Hostname=mx.example] Queued mail for delivery", NULL},
    {"Message accepted for delivery", NULL},
    {"1 the Message accepted for delivery", NULL},
    {"queued as 12\"34", NULL},
    {"queued as 12\\34", NULL},
    {"queued as 12{}", NULL},
    {"queued as \xC3\xA9"
     "12",
     NULL},
    {"queued as ...", NULL},
    /* the longest, and one more */
    {"queued as " X50 X50, X50 X50},
    {"queued as " X50 X50 "1", NULL},
};

static void
the_name_a_host_gives_is_found_or_none_is(void **state)
{
    char out[MAIL_REMOTE_ID_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        bool found = mail_remote_id(slice_of(cases[i].text), out);

        if (found != (cases[i].id != NULL) ||
            (found && strcmp(out, cases[i].id) != 0))
            fail_msg("%s: %s", cases[i].text, found ? out : "none");
    }
}

/* Each on the heap, so that a step too far is seen. */
static void
a_reply_that_is_cut_anywhere_is_read_within_its_end(void **state)
{
    char out[MAIL_REMOTE_ID_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        for (size_t len = 0; len <= strlen(cases[i].text); len++) {
            char *copy = malloc(len + 1);

            memcpy(copy, cases[i].text, len);
            copy = realloc(copy, len ? len : 1);
            if (mail_remote_id((struct slice){copy, len}, out))
                assert_in_range(strlen(out), 1, MAIL_REMOTE_ID_MAX);
            free(copy);
        }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_name_a_host_gives_is_found_or_none_is),
        cmocka_unit_test(a_reply_that_is_cut_anywhere_is_read_within_its_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
