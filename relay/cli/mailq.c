/* mailq, postqueue, newaliases: tools of other mail systems. */
#include "relay/cli/mailq.h"

#include "relay/base/mem.h"
#include "relay/cli/commands.h"
#include "relay/cli/queue_pages.h"
#include "relay/cli/term.h"

#include <inttypes.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

/* The rows of one message follow each other, also across pages. */
struct gathering {
    json_t *rows; /* of the message under way; NULL: none yet */
    bool json;
    uint64_t messages, octets;
};

static char
mark(const json_t *rows)
{
    size_t i;
    json_t *row;
    char m = ' ';

    json_array_foreach(rows, i, row)
    {
        const char *state = cli_text(row, "state");

        if (strcmp(state, "active") == 0)
            return '*';
        if (strcmp(state, "held") == 0)
            m = '!';
    }
    return m;
}

static const char *
sender(const json_t *row)
{
    const char *from = cli_text(row, "from");

    return *from ? from : "MAILER-DAEMON";
}

static void
print_text(const json_t *rows)
{
    const json_t *first = json_array_get(rows, 0);
    time_t arrived = (time_t)(cli_time(first, "arrived") / 1000);
    const char *reason = "";
    char date[32] = "";
    struct tm tm;
    size_t i;
    json_t *row;

    if (localtime_r(&arrived, &tm))
        (void)strftime(date, sizeof(date), "%a %b %e %H:%M:%S", &tm);
    printf("%s%c %7" PRId64 " %s  %s\n", cli_text(first, "id"), mark(rows),
           cli_number(first, "size"), date, sender(first));
    json_array_foreach(rows, i, row)
    {
        const char *last = cli_text(row, "last");

        if (*last && strcmp(last, reason) != 0)
            printf("%41s(%s)\n", "", last);
        reason = last;
        printf("%41s%s\n", "", cli_text(row, "to"));
    }
    (void)fputc('\n', stdout);
}

static const char *
queue_name(const json_t *rows)
{
    switch (mark(rows)) {
    case '*':
        return "active";
    case '!':
        return "hold";
    default:
        return "deferred";
    }
}

static void
print_json(const json_t *rows)
{
    const json_t *first = json_array_get(rows, 0);
    json_t *list = json_array(), *row, *all;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        json_t *one = json_pack("{s:s}", "address", cli_text(row, "to"));

        if (*cli_text(row, "last"))
            json_object_set_new(one, "delay_reason",
                                json_string(cli_text(row, "last")));
        json_array_append_new(list, one);
    }
    all = json_pack(
        "{s:s, s:s, s:I, s:I, s:b, s:s, s:o}", "queue_name", queue_name(rows),
        "queue_id", cli_text(first, "id"), "arrival_time",
        (json_int_t)(cli_time(first, "arrived") / 1000), "message_size",
        (json_int_t)cli_number(first, "size"), "forced_expire", 0, "sender",
        sender(first), "recipients", list);
    (void)json_dumpf(all, stdout,
                     0); /* with the spaces that scripts look for */
    (void)fputc('\n', stdout);
    json_decref(all);
}

static void
finish_message(struct gathering *g)
{
    if (!g->rows)
        return;
    if (g->json)
        print_json(g->rows);
    else
        print_text(g->rows);
    g->messages++;
    g->octets += (uint64_t)cli_number(json_array_get(g->rows, 0), "size");
    json_decref(g->rows);
    g->rows = NULL;
}

static void
add_page(void *ctx, const json_t *rows)
{
    struct gathering *g = ctx;
    size_t i;
    json_t *row;

    json_array_foreach(rows, i, row)
    {
        const json_t *first = json_array_get(g->rows, 0);

        if (g->rows && strcmp(cli_text(first, "id"), cli_text(row, "id")) != 0)
            finish_message(g);
        if (!g->rows && !g->json && g->messages == 0)
            (void)puts("-Queue ID-  --Size-- ----Arrival Time---- "
                       "-Sender/Recipient-------");
        if (!g->rows)
            g->rows = json_array();
        json_array_append(g->rows, row);
    }
}

int
cli_mailq_print(struct cli_target *t, bool json)
{
    struct cli_filter all = {0};
    struct gathering g = {.json = json};
    int code = cli_queue_pages(t, &all, add_page, &g);

    finish_message(&g);
    if (code != EX_OK || json)
        return code;
    if (g.messages == 0)
        (void)puts("Mail queue is empty");
    else
        printf("-- %" PRIu64 " Kbytes in %" PRIu64 " Request%s.\n",
               (g.octets + 1023) / 1024, g.messages,
               g.messages == 1 ? "" : "s");
    return EX_OK;
}

/* Tries again now: one message, one domain, or (both NULL) all. */
static int
retry(struct cli_target *t, const char *id, const char *domain)
{
    json_t *body = json_object();
    int code;

    if (id)
        json_object_set_new(body, "ids", json_pack("[s]", id));
    if (domain)
        json_object_set_new(body, "domain", json_string(domain));
    if (!id && !domain)
        json_object_set_new(body, "all", json_true());
    code = cli_target_call(t, "POST", "/v1/queue/retry", body, NULL);
    json_decref(body);
    return code;
}

int
cli_mailq(const struct cli_command *self, int argc, char **argv)
{
    struct cli_target target = {0};
    const struct cli_option options[] = {CLI_TARGET_OPTIONS(&target)};
    int code = cli_option_parse(self, options, 2, &argc, argv);

    if (code != CLI_GO_ON)
        return code;
    cli_target_open(&target);
    code = cli_mailq_print(&target, false);
    cli_target_close(&target);
    return code;
}

int
cli_postqueue(const struct cli_command *self, int argc, char **argv)
{
    struct cli_target target = {0};
    bool list = false, json = false, flush = false;
    const char *id = NULL, *site = NULL;
    const struct cli_option options[] = {
        CLI_TARGET_OPTIONS(&target),    {.letter = 'p', .flag = &list},
        {.letter = 'j', .flag = &json}, {.letter = 'f', .flag = &flush},
        {.letter = 'i', .value = &id},  {.letter = 's', .value = &site},
    };
    int code = cli_option_parse(
        self, options, sizeof(options) / sizeof(options[0]), &argc, argv);

    if (code == CLI_GO_ON &&
        (argc > 1 || list + json + flush + !!id + !!site != 1))
        code = cli_command_misuse(self, "one of -p, -j, -f, -i and -s");
    if (code != CLI_GO_ON)
        return code;
    cli_target_open(&target);
    if (list || json)
        code = cli_mailq_print(&target, json);
    else
        code = retry(&target, id, site);
    cli_target_close(&target);
    return code;
}

int
cli_newaliases(const struct cli_command *self, int argc, char **argv)
{
    int code = cli_option_parse(self, NULL, 0, &argc, argv);

    return code == CLI_GO_ON ? EX_OK : code;
}
