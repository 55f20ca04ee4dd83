#include "relay/cli/doctor.h"

#include "relay/admin/answer.h"
#include "relay/base/mem.h"
#include "relay/cli/commands.h"
#include "relay/cli/term.h"
#include "relay/mail/domain.h"

#include <stdarg.h>
#include <string.h>

/* Whom everybody can reach who can reach anybody. */
#define TO_DEFAULT "gmail.com"

enum { TEXT_MAX = 2000 }; /* of a finding; a record of DNS is cut */

static const struct level {
    const char *name;
    enum cli_paint paint;
    int code;
} levels[] = {
    [CLI_DOCTOR_OK] = {"ok", CLI_GREEN, 0},
    [CLI_DOCTOR_NOTE] = {"note", CLI_DIM, 0},
    [CLI_DOCTOR_WARNING] = {"warning", CLI_YELLOW, 1},
    [CLI_DOCTOR_FAILURE] = {"failure", CLI_RED, 2},
};

void
cli_doctor_tell(struct cli_doctor *d, const char *check,
                enum cli_doctor_level level, const char *fmt, ...)
{
    char text[TEXT_MAX];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (level > d->worst)
        d->worst = level;
    json_array_append_new(
        d->findings, json_pack("{s:s, s:s, s:o}", "check", check, "level",
                               levels[level].name, "text", admin_text(text)));
}

static void
print(const struct cli_doctor *d)
{
    size_t i;
    json_t *one;

    json_array_foreach(d->findings, i, one)
    {
        size_t level = 0;

        while (strcmp(levels[level].name, cli_text(one, "level")) != 0)
            level++;
        printf("%s%-8s%s %-12s %s\n", cli_term_paint(levels[level].paint),
               levels[level].name, cli_term_paint(CLI_PLAIN),
               cli_text(one, "check"), cli_text(one, "text"));
    }
}

static void
look(struct cli_doctor *d)
{
    struct err err = {0};

    cli_doctor_look_at_host(d);
    cli_doctor_look_at_access(d);
    if (!cli_doctor_net_open(d, &err))
        cli_doctor_tell(d, "dns", CLI_DOCTOR_FAILURE, "%s", err.text);
    cli_doctor_look_at_sending(d);
    cli_doctor_look_at_domain(d);
    cli_doctor_net_close(d);
}

/* Without a good configuration there is nothing else to say. */
static bool
read_config(struct cli_doctor *d, const char *file, struct config **out)
{
    struct config_errors errs = {0};
    bool ok = config_load(file, out, &errs);

    for (size_t i = 0; i < errs.count; i++)
        cli_doctor_tell(d, "config", CLI_DOCTOR_FAILURE, "%s", errs.text[i]);
    for (size_t i = 0; i < errs.warning_count; i++)
        cli_doctor_tell(d, "config", CLI_DOCTOR_WARNING, "%s", errs.warning[i]);
    if (ok && errs.warning_count == 0)
        cli_doctor_tell(d, "config", CLI_DOCTOR_OK, "can be used");
    config_errors_done(&errs);
    return ok;
}

static int
examine(struct cli_doctor *d, bool json)
{
    struct config *c scoped(config_free) = NULL;

    d->findings = json_array();
    if (read_config(d, d->target->file, &c)) {
        d->c = c;
        cli_target_open(d->target);
        look(d);
        cli_target_close(d->target);
    }
    if (json) {
        json_t *all = json_pack("{s:s, s:O}", "result", levels[d->worst].name,
                                "findings", d->findings);

        cli_print_json(all);
        json_decref(all);
    } else {
        print(d);
    }
    json_decref(d->findings);
    return levels[d->worst].code;
}

/* In the form in which DNS has it. */
static int
check_domain(const struct cli_command *self, const char *option,
             const char **text, struct mail_domain *out)
{
    struct err err;

    if (!*text)
        return CLI_GO_ON;
    if (!mail_domain_parse(slice_of(*text), out, &err))
        return cli_command_misuse(self, "--%s: %s", option, err.text);
    *text = out->text;
    return CLI_GO_ON;
}

int
cli_doctor(const struct cli_command *self, int argc, char **argv)
{
    struct cli_target target = {0};
    struct cli_doctor d = {.target = &target, .to = TO_DEFAULT};
    struct mail_domain domain, to;
    bool json = false;
    const struct cli_option options[] = {
        CLI_TARGET_OPTIONS(&target),
        {.name = "domain", .letter = 'd', .value = &d.domain},
        {.name = "to", .value = &d.to},
        {.name = "json", .flag = &json}};
    int code = cli_option_parse(
        self, options, sizeof(options) / sizeof(options[0]), &argc, argv);

    if (code == CLI_GO_ON && argc > 1)
        code = cli_command_misuse(self, "\"%s\" is too much", argv[1]);
    if (code == CLI_GO_ON)
        code = check_domain(self, "domain", &d.domain, &domain);
    if (code == CLI_GO_ON)
        code = check_domain(self, "to", &d.to, &to);
    return code == CLI_GO_ON ? examine(&d, json) : code;
}
