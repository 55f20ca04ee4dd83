/* A users file: an error has a text and shows no hash, and what is accepted can
 * be found by its names, with senders that are ones. */
#include "relay/base/text.h"
#include "relay/config/users.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct count {
    const struct users *users;
    size_t seen;
};

static void
check(void *ctx, const struct user *user)
{
    struct count *c = ctx;
    struct err err;

    c->seen++;
    assert(users_check_name(slice_of(user->name), &err));
    assert(users_find(c->users, user->name) == user);
    assert(!user->has_verifier || user->hash[0]);
    for (size_t i = 0; i < user->access.sender_count; i++)
        assert(strchr(user->access.senders[i], '@') ||
               strcmp(user->access.senders[i], "*") == 0 ||
               strcmp(user->access.senders[i], "<>") == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};
    struct config_errors errs = {0};
    scoped(users_drop) struct users *users = NULL;

    if (users_parse(in, "users", &users, &errs)) {
        struct count count = {.users = users};

        assert(errs.count == 0);
        users_each(users, check, &count);
        assert(count.seen == users_count(users));
        assert(users_decoy_hash(users)[0] == '$');
    } else {
        assert(errs.count > 0);
        for (size_t i = 0; i < errs.count; i++)
            assert(text_is_utf8(slice_of(errs.text[i])));
    }
    config_errors_done(&errs);
    return 0;
}
