#include "relay/config/raw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct config_raw raw;
    struct config_errors errs;
};

static void
done(struct fixture *f)
{
    config_raw_done(&f->raw);
    config_errors_done(&f->errs);
}

/* Reads an environment of up to six variables. */
static void
read_env(struct fixture *f, const char *const variables[6])
{
    char *list[7] = {0};

    for (int i = 0; i < 6 && variables[i]; i++)
        list[i] = (char *)(uintptr_t)variables[i];
    config_env_read(list, &f->raw, &f->errs);
}

static const struct config_setting *
setting(const struct fixture *f, const char *section, const char *key)
{
    const char *title = strcmp(section, "route") == 0 ? "relayhost" : "";
    const struct config_block *b = config_raw_find(&f->raw, section, title);

    return b ? config_block_find(b, key) : NULL;
}

static void
each_variable_sets_its_key(void **state)
{
    static const struct {
        const char *env[6];
        const char *section, *key;
        const char *values[4];
        const char *note;
    } rows[] = {
        {{"RELAYHOST=smtp.example"},
         "route",
         "via",
         {"smtp.example"},
         "environment: RELAYHOST: is taken as route.relayhost.via"},
        {{"RELAYHOST=[smtp.example]:587"},
         "route",
         "via",
         {"[smtp.example]:587"},
         "RELAYHOST"},
        {{"RELAYHOST=smtp.example"}, "route", "to", {"*"}, "RELAYHOST"},
        {{"RELAYHOST=h", "RELAYHOST_USERNAME=u"},
         "route",
         "user",
         {"u"},
         "RELAYHOST_USERNAME: is taken as route.relayhost.user"},
        {{"RELAYHOST=h", "RELAYHOST_PASSWORD=a # b"},
         "route",
         "password",
         {"a # b"},
         "RELAYHOST_PASSWORD: is taken as route.relayhost.password"},
        {{"RELAYHOST=h", "RELAYHOST_PASSWORD_FILE=/run/secrets/p"},
         "route",
         "password_file",
         {"/run/secrets/p"},
         "RELAYHOST_PASSWORD_FILE: is taken as route.relayhost.password_file"},
        {{"SMTP_SERVER=smtp.example"},
         "route",
         "via",
         {"smtp.example:587"},
         "SMTP_SERVER: is taken as route.relayhost.via"},
        {{"SMTP_SERVER=smtp.example", "SMTP_PORT=465"},
         "route",
         "via",
         {"smtp.example:465"},
         "SMTP_SERVER"},
        {{"SMTP_SERVER=h", "SMTP_USERNAME=u"},
         "route",
         "user",
         {"u"},
         "SMTP_USERNAME"},
        {{"SMTP_SERVER=h", "SMTP_PASSWORD=p"},
         "route",
         "password",
         {"p"},
         "SMTP_PASSWORD"},
        {{"SMTP_SERVER=h", "SMTP_PASSWORD_FILE=/p"},
         "route",
         "password_file",
         {"/p"},
         "SMTP_PASSWORD_FILE"},
        {{"SERVER_HOSTNAME=relay.example"},
         "",
         "hostname",
         {"relay.example"},
         "SERVER_HOSTNAME: is taken as hostname"},
        {{"POSTFIX_myhostname=relay.example"},
         "",
         "hostname",
         {"relay.example"},
         "POSTFIX_myhostname: is taken as hostname"},
        {{"POSTFIX_mynetworks=127.0.0.0/8 10.0.0.0/8, [::1]/128"},
         "access",
         "networks",
         {"127.0.0.0/8", "10.0.0.0/8", "::1/128"},
         "POSTFIX_mynetworks: is taken as access.networks"},
        {{"POSTFIX_message_size_limit=10240000"},
         "access",
         "message_size_max",
         {"10240000"},
         "POSTFIX_message_size_limit: is taken as access.message_size_max"},
        {{"ALLOWED_SENDER_DOMAINS=a.example  b.example,c.example"},
         "access",
         "sender_domains",
         {"a.example", "b.example", "c.example"},
         "ALLOWED_SENDER_DOMAINS: is taken as access.sender_domains"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        scoped(done) struct fixture f = {0};
        const struct config_setting *s;
        size_t n = 0;

        read_env(&f, rows[i].env);
        assert_int_equal(f.errs.count, 0);
        s = setting(&f, rows[i].section, rows[i].key);
        assert_non_null(s);
        for (; rows[i].values[n]; n++)
            assert_string_equal(s->value[n], rows[i].values[n]);
        assert_int_equal(s->count, n);
        assert_true(f.errs.note_count > 0);
        assert_non_null(
            strstr(f.errs.note[f.errs.note_count - 1], rows[i].note));
    }
}

static void
two_that_say_the_same_are_an_error(void **state)
{
    static const struct {
        const char *env[6];
        const char *want;
    } rows[] = {
        {{"RELAYHOST=h", "SMTP_SERVER=h"},
         "environment: SMTP_SERVER: RELAYHOST is set as well"},
        {{"RELAYHOST=h", "SEALPOST_ROUTE__RELAYHOST__VIA=h"},
         "RELAYHOST: SEALPOST_ROUTE__RELAYHOST__VIA is set as well"},
        {{"SERVER_HOSTNAME=h", "POSTFIX_myhostname=h"},
         "POSTFIX_myhostname: SERVER_HOSTNAME is set as well"},
        {{"POSTFIX_myhostname=h", "SEALPOST_HOSTNAME=h"},
         "POSTFIX_myhostname: SEALPOST_HOSTNAME is set as well"},
        {{"POSTFIX_mynetworks=::1", "SEALPOST_ACCESS__NETWORKS=::1"},
         "POSTFIX_mynetworks: SEALPOST_ACCESS__NETWORKS is set as well"},
        {{"ALLOWED_SENDER_DOMAINS=a.b", "SEALPOST_ACCESS__SENDER_DOMAINS=a.b"},
         "SEALPOST_ACCESS__SENDER_DOMAINS is set as well"},
        {{"RELAYHOST=h", "RELAYHOST_PASSWORD=p", "RELAYHOST_PASSWORD_FILE=/p"},
         "RELAYHOST_PASSWORD_FILE: RELAYHOST_PASSWORD is set as well"},
        {{"SMTP_SERVER=h", "SMTP_PASSWORD=p", "SMTP_PASSWORD_FILE=/p"},
         "SMTP_PASSWORD_FILE: SMTP_PASSWORD is set as well"},
        {{"RELAYHOST_USERNAME=u"},
         "RELAYHOST_USERNAME: means nothing without RELAYHOST"},
        {{"RELAYHOST_PASSWORD=hunter2"},
         "RELAYHOST_PASSWORD: means nothing without RELAYHOST"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        scoped(done) struct fixture f = {0};

        read_env(&f, rows[i].env);
        assert_int_equal(f.errs.count, 1);
        assert_non_null(strstr(f.errs.text[0], rows[i].want));
        assert_null(strstr(f.errs.text[0], "hunter2"));
    }
}

/* They are those of applications, of Kubernetes, or empty. */
static void
variables_of_others_change_nothing(void **state)
{
    static const char *const env[][6] = {
        {"SMTP_USERNAME=u", "SMTP_PASSWORD=p", "SMTP_PASSWORD_FILE=/p"},
        {"SMTP_PORT=tcp://10.0.0.1:25", "SMTP_SERVICE_HOST=10.0.0.1"},
        {"RELAYHOST=", "RELAYHOST_USERNAME=", "ALLOWED_SENDER_DOMAINS="},
        {"POSTFIX_PORT=tcp://10.0.0.1:25", "POSTFIX_SERVICE_HOST=10.0.0.1"},
        {"RELAYHOSTS=x", "XRELAYHOST=x", "relayhost=x"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(env) / sizeof(*env); i++) {
        scoped(done) struct fixture f = {0};

        read_env(&f, env[i]);
        assert_int_equal(f.errs.count, 0);
        assert_int_equal(f.errs.warning_count, 0);
        assert_int_equal(f.errs.note_count, 0);
        assert_null(config_raw_find(&f.raw, "route", "relayhost"));
    }
}

static void
settings_of_postfix_without_a_counterpart_are_warned_of(void **state)
{
    static const char *const env[6] = {"POSTFIX_smtp_tls_security_level=may",
                                       "POSTFIX_myhostname=relay.example"};
    scoped(done) struct fixture f = {0};

    (void)state;
    read_env(&f, env);
    assert_int_equal(f.errs.count, 0);
    assert_int_equal(f.errs.warning_count, 1);
    assert_string_equal(f.errs.warning[0],
                        "environment: POSTFIX_smtp_tls_security_level: has no "
                        "counterpart here, and changes nothing");
}

/* What somebody wrote into the block stays. */
static void
the_route_of_the_file_is_filled_up(void **state)
{
    static const char *const env[6] = {"RELAYHOST=smtp.example"};
    scoped(done) struct fixture f = {0};
    struct config_block *b =
        config_raw_add(&f.raw, "route", "relayhost", "x.conf:1");

    (void)state;
    config_setting_add(config_block_set(b, config_key_find("route", "to"),
                                        "x.conf:2", "route.relayhost.to"),
                       slice_of("@a.example"));
    read_env(&f, env);
    assert_int_equal(f.errs.count, 0);
    assert_string_equal(setting(&f, "route", "to")->value[0], "@a.example");
    assert_string_equal(setting(&f, "route", "via")->value[0], "smtp.example");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_variable_sets_its_key),
        cmocka_unit_test(two_that_say_the_same_are_an_error),
        cmocka_unit_test(variables_of_others_change_nothing),
        cmocka_unit_test(
            settings_of_postfix_without_a_counterpart_are_warned_of),
        cmocka_unit_test(the_route_of_the_file_is_filled_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
