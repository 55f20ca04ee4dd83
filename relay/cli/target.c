#include "relay/cli/target.h"

#include "relay/base/mem.h"
#include "relay/cli/control.h"
#include "relay/cli/offline.h"
#include "relay/cli/term.h"

#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

const struct config *
cli_target_config(struct cli_target *t)
{
    struct config_errors errs = {0};

    if (!t->tried && !config_load(t->file, &t->config, &errs))
        t->config = NULL;
    t->tried = true;
    config_errors_done(&errs);
    return t->config;
}

/* A configuration that says where its relay is means that one and no other. */
static bool
is_anywhere(const struct config *c)
{
    return !config_is_set(c, "control", "socket") &&
           !config_is_set(c, "", "state_directory");
}

/* Of a configuration with mistakes: its relay runs with an earlier one, and may
 * be about to read this one.  A file that can't be read names no relay, least
 * of all the usual one. */
static char *
named_socket(const struct cli_target *t)
{
    char *said = config_peek(t->file, "control", "socket");

    if (said)
        return said;
    return mem_text(t->file && access(t->file, R_OK) != 0
                        ? t->file
                        : CONFIG_CONTROL_DEFAULT);
}

void
cli_target_open(struct cli_target *t)
{
    const struct config *c;

    t->lock_fd = -1;
    if (t->given_socket) {
        t->socket = mem_text(t->given_socket);
        return;
    }
    c = cli_target_config(t);
    t->socket = c ? mem_text(c->control.socket) : named_socket(t);
    /* A relay run as another user has it in the usual place. */
    if (c && is_anywhere(c) && access(t->socket, F_OK) != 0 &&
        access(CONFIG_CONTROL_DEFAULT, F_OK) == 0) {
        own_free(&t->socket);
        t->socket = mem_text(CONFIG_CONTROL_DEFAULT);
    }
}

void
cli_target_close(struct cli_target *t)
{
    config_free(&t->config);
    queue_store_close(&t->store);
    if (t->socket)
        own_close(&t->lock_fd);
    own_free(&t->socket);
}

int
cli_target_none(const struct err *err)
{
    if (err->kind == ERR_MISSING)
        return cli_fail(EX_UNAVAILABLE, "no relay is running (%s)", err->text);
    return cli_fail(EX_UNAVAILABLE, "can't speak to the relay: %s", err->text);
}

static int
refused(struct cli_answer *a)
{
    json_auto_t *value = json_loadb(buf_text(&a->body), a->body.len, 0, NULL);
    const char *why = cli_text(value, "error");
    const json_t *each = json_object_get(value, "errors");
    int code = EX_TEMPFAIL;

    for (size_t i = 0; i < json_array_size(each); i++)
        (void)fprintf(stderr, "%s\n",
                      json_string_value(json_array_get(each, i)));
    if (a->status == 404)
        code = EX_NOINPUT;
    else if (a->status >= 400 && a->status < 500)
        code = EX_DATAERR;
    return cli_fail(code, "%s", *why ? why : "the relay refused");
}

int
cli_target_call(struct cli_target *t, const char *method, const char *target,
                const json_t *body, json_t **out)
{
    char *text scoped(own_free) = body ? json_dumps(body, JSON_COMPACT) : NULL;
    struct cli_answer answer;
    struct err err;
    json_t *value;
    int code = EX_OK;

    if (!cli_control_ask(t->socket, method, target, text, &answer, &err))
        return cli_target_none(&err);
    value = json_loadb(buf_text(&answer.body), answer.body.len, 0, NULL);
    if (answer.status >= 300)
        code = refused(&answer);
    else if (!value)
        code = cli_fail(EX_PROTOCOL, "%s: the answer is no JSON", t->socket);
    cli_answer_done(&answer);
    if (code == EX_OK && out)
        *out = json_incref(value);
    json_decref(value);
    return code;
}

/* --- looking, with or without a relay --- */

static void
add_path(struct buf *url, enum cli_look what, const char *key)
{
    static const char *const front[] = {
        [CLI_LOOK_MESSAGE] = "/v1/messages/",
        [CLI_LOOK_TRACE] = "/v1/messages/",
        [CLI_LOOK_POLICIES] = "/v1/policies?cursor=",
        [CLI_LOOK_POLICY] = "/v1/policies/",
        [CLI_LOOK_REPORTS] = "/v1/reports?cursor=",
        [CLI_LOOK_REPORT] = "/v1/reports/",
    };
    size_t day = what == CLI_LOOK_REPORT ? strcspn(key, " ") : 0;

    buf_add_text(url, front[what]);
    if (what == CLI_LOOK_REPORT) {
        char *first scoped(own_free) = mem_copy((struct slice){key, day});

        cli_url_add(url, first);
        buf_add_text(url, "?domain=");
        key += day + (key[day] == ' ');
    }
    cli_url_add(url, key);
    buf_add_text(url, what == CLI_LOOK_TRACE ? "/trace" : "");
}

/* Is there a relay at the other end? */
static bool
runs(const struct cli_target *t)
{
    struct cli_answer answer;
    struct err err;

    if (cli_control_ask(t->socket, "GET", "/livez", NULL, &answer, &err)) {
        cli_answer_done(&answer);
        return true;
    }
    return err.kind != ERR_MISSING;
}

int
cli_target_choose(struct cli_target *t)
{
    struct err err;

    if (t->store || runs(t))
        return EX_OK;
    if (!cli_target_config(t))
        return cli_fail(EX_UNAVAILABLE,
                        "no relay is running at %s, and its configuration "
                        "can't be read",
                        t->socket);
    if (!cli_offline_open(t->config->state_directory, &t->lock_fd, &t->store,
                          &err))
        return cli_fail(EX_UNAVAILABLE, "no relay is running at %s, %s",
                        t->socket, err.text);
    (void)fprintf(stderr, "no relay is running; this is what %s/queue.db has\n",
                  t->config->state_directory);
    return EX_OK;
}

static int
looked(bool ok, const struct err *err)
{
    if (ok)
        return EX_OK;
    return cli_fail(err->kind == ERR_MISSING ? EX_NOINPUT : EX_DATAERR, "%s",
                    err->text);
}

int
cli_target_look(struct cli_target *t, enum cli_look what, const char *key,
                json_t **out)
{
    struct buf url scoped(buf_free) = {0};
    struct err err = {0};
    int code = cli_target_choose(t);

    if (code != EX_OK)
        return code;
    if (t->store)
        return looked(cli_offline_look(t->store, what, key, out, &err), &err);
    add_path(&url, what, key);
    return cli_target_call(t, "GET", buf_text(&url), NULL, out);
}

int
cli_target_queue(struct cli_target *t, const struct cli_filter *f,
                 const char *cursor, json_t **out)
{
    struct buf url scoped(buf_free) = {0};
    struct err err = {0};
    int code = cli_target_choose(t);

    if (code != EX_OK)
        return code;
    if (t->store)
        return looked(cli_offline_queue(t->store, f, cursor, out, &err), &err);
    buf_add_text(&url, "/v1/queue?cursor=");
    cli_url_add(&url, cursor);
    cli_filter_add(f, &url);
    return cli_target_call(t, "GET", buf_text(&url), NULL, out);
}

int
cli_target_piece(struct cli_target *t, const char *id, unsigned sequence,
                 struct buf *out, bool *end)
{
    char *path scoped(own_free) =
        mem_printf("/v1/messages/%s/body?piece=%u", id, sequence);
    struct cli_answer answer;
    struct err err = {0};
    int code = EX_OK;

    *end = false;
    if (t->store) {
        bool ok = cli_offline_piece(t->store, id, sequence, out, &err);

        *end = !ok && err.kind == ERR_MISSING;
        return looked(ok || *end, &err);
    }
    if (!cli_control_ask(t->socket, "GET", path, NULL, &answer, &err))
        return cli_target_none(&err);
    if (answer.status == 200)
        buf_add(out, buf_slice(&answer.body));
    else if (answer.status == 404)
        *end = true;
    else
        code = refused(&answer);
    cli_answer_done(&answer);
    return code;
}
