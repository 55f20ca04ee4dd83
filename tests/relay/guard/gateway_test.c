#include "relay/guard/gateway.h"

#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char ipv4[] =
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\t"
    "Window\tIRTT\n"
    "eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
    "eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    "wg0\t0000000A\t0100000A\t0003\t0\t0\t0\t000000FF\t0\t0\t0\n"
    "tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n"
    "eth1\t00000000\tFE01A8C0\t0003\t0\t0\t9\t00000000\t0\t0\t0\n"
    "broken\t0000\tX\n\n";

static const char ipv6[] =
    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
    "20010db8000000000000000000000001 00000400 00000001 00000000 00000003 "
    "    eth0\n"
    "20010db8000000000000000000000000 40 00000000000000000000000000000000 00 "
    "00000000000000000000000000000000 00000100 00000001 00000000 00000001 "
    "    eth0\n"
    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
    "00000000000000000000000000000000 ffffffff 00000001 00000000 00200200 "
    "      lo\n";

static void
gateways_of_default_routes_are_found(void **state)
{
    struct gateway found[GATEWAY_MAX];
    char text[ADDR_TEXT_SIZE], file[PATH_MAX];
    struct scratch s;

    (void)state;
    scratch_make(&s);
    scratch_write(&s, "route", ipv4, sizeof(ipv4) - 1);
    (void)snprintf(file, sizeof(file), "%s", s.file);
    scratch_write(&s, "ipv6_route", ipv6, sizeof(ipv6) - 1);
    assert_int_equal(gateway_routes(file, s.file, found), 3);
    assert_string_equal(addr_text(&found[0].addr, text), "172.17.0.1");
    assert_string_equal(found[0].interface, "eth0");
    assert_string_equal(addr_text(&found[1].addr, text), "192.168.1.254");
    assert_string_equal(found[1].interface, "eth1");
    assert_string_equal(addr_text(&found[2].addr, text), "2001:db8::1");
    assert_string_equal(found[2].interface, "eth0");
    assert_int_equal(gateway_routes(NULL, s.file, found), 1);
    assert_int_equal(gateway_routes(scratch_file(&s, "none"), NULL, found), 0);
    scratch_remove(&s);
}

static void
a_host_with_very_many_routes_is_looked_at_in_part(void **state)
{
    struct gateway found[GATEWAY_MAX];
    struct scratch s;
    FILE *f;

    (void)state;
    scratch_make(&s);
    f = fopen(scratch_file(&s, "route"), "w");
    for (int i = 0; i < 1000; i++)
        (void)fprintf(f, "eth0 00000000 010011AC 3 0 0 0 00000000 0 0 0\n");
    (void)fclose(f);
    assert_int_equal(gateway_routes(s.file, NULL, found), GATEWAY_MAX);
    scratch_remove(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gateways_of_default_routes_are_found),
        cmocka_unit_test(a_host_with_very_many_routes_is_looked_at_in_part),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
