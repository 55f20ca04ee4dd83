#include "relay/config/describe.h"

#include "relay/base/mem.h"
#include "relay/base/own.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
a_key_has_type_range_and_variable(void **state)
{
    static const struct {
        const char *section, *name, *type, *variable;
    } rows[] = {
        {"", "hostname", "Text", "SEALPOST_HOSTNAME"},
        {"", "workers", "Number, 0 to 256", "SEALPOST_WORKERS"},
        {"policy", "dane", "Boolean or \"required\"", "SEALPOST_POLICY__DANE"},
        {"policy", "tls", "Word", "SEALPOST_POLICY__TLS"},
        {"retry", "expire", "Span, 1s to 60d", "SEALPOST_RETRY__EXPIRE"},
        {"retry", "schedule", "Spans, each 100ms to 7d",
         "SEALPOST_RETRY__SCHEDULE"},
        {"access", "message_size_max", "Size, 1K to 1G",
         "SEALPOST_ACCESS__MESSAGE_SIZE_MAX"},
        {"access", "networks", "Networks", "SEALPOST_ACCESS__NETWORKS"},
        {"listener", "socket_mode", "Mode of a file",
         "SEALPOST_LISTENER__NAME__SOCKET_MODE"},
        {"route", "via", "Hosts, up to 100", "SEALPOST_ROUTE__NAME__VIA"},
        {"oauth", "client_secret", "Secret",
         "SEALPOST_ROUTE__NAME__OAUTH__CLIENT_SECRET"},
        {"dkim", "selector", "Texts, up to 4", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct config_key *key =
            config_key_find(rows[i].section, rows[i].name);
        scoped(own_free) char *type = config_describe_type(key);
        scoped(own_free) char *variable = config_describe_variable(key);

        assert_string_equal(type, rows[i].type);
        assert_string_equal(variable, rows[i].variable);
    }
}

static char *
described(bool json)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    config_describe(json, out);
    (void)fclose(out);
    return text;
}

static void
every_key_is_described_once(void **state)
{
    scoped(own_free) char *text = described(true);
    size_t count = 0;

    (void)state;
    for (const char *p = strstr(text, "{\"section\": "); p;
         p = strstr(p + 1, "{\"section\": "))
        count++;
    assert_int_equal(count, config_key_count);
    assert_true(strncmp(text, "[\n", 2) == 0);
    assert_string_equal(text + strlen(text) - 3, "\n]\n");
}

static void
text_says_where_a_default_comes_from(void **state)
{
    scoped(own_free) char *text = described(false);

    (void)state;
    assert_non_null(strstr(text, "listener.NAME.rate\n"
                                 "    Rate; default: as in access; "));
    assert_non_null(strstr(text, "domain.NAME.tls\n"
                                 "    Word; default: as in policy; "));
    assert_non_null(strstr(text, "hostname\n    Text; default: empty; "));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_has_type_range_and_variable),
        cmocka_unit_test(every_key_is_described_once),
        cmocka_unit_test(text_says_where_a_default_comes_from),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
