#include "relay/net/passed.h"

#include "relay/base/addr.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* Listens as descriptor `as`, the way systemd leaves it to us. */
static void
listen_as(int as, char where[ADDR_TEXT_SIZE])
{
    struct addr a = addr_from_v4((struct in_addr){htonl(INADDR_LOOPBACK)}, 0);
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, &a.any, addr_len(&a)), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, &a.any, &len), 0);
    (void)addr_text_port(&a, where);
    if (fd != as) {
        assert_int_equal(dup2(fd, as), as);
        close(fd);
    }
}

static void
set_environment(long pid, const char *fds, const char *names)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%ld", pid);
    setenv("LISTEN_PID", text, 1);
    setenv("LISTEN_FDS", fds, 1);
    setenv("LISTEN_FDNAMES", names, 1);
}

static void
sockets_are_found_by_name_and_by_address(void **state)
{
    char first[ADDR_TEXT_SIZE], second[ADDR_TEXT_SIZE], third[ADDR_TEXT_SIZE];
    struct net_passed p = {0};
    struct err err;
    int fd;

    (void)state;
    listen_as(3, first);
    listen_as(4, second);
    listen_as(5, third);
    set_environment(getpid(), "3", "smtp:submission:smtp");
    assert_true(net_passed_open(&p, &err));
    assert_null(getenv("LISTEN_FDS"));
    assert_null(getenv("LISTEN_PID"));
    assert_null(getenv("LISTEN_FDNAMES"));
    assert_int_equal(p.count, 3);
    assert_int_equal(net_passed_count(&p, "systemd:smtp"), 2);
    assert_int_equal(net_passed_count(&p, "systemd:submission"), 1);
    assert_int_equal(net_passed_count(&p, "systemd:sm"), 0);
    assert_int_equal(net_passed_count(&p, "systemd:"), 0);
    assert_int_equal(net_passed_count(&p, second), 1);
    assert_int_equal(net_passed_count(&p, "127.0.0.1:1"), 0);
    assert_int_equal(net_passed_count(&p, "unix:/x"), 0);
    assert_string_equal(p.list[2].where, third);

    fd = net_passed_take(&p, "systemd:smtp", 1);
    assert_true(fd > 5);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_true(p.list[2].is_taken);
    assert_false(p.list[0].is_taken);
    assert_int_equal(net_passed_take(&p, "systemd:smtp", 2), -1);
    own_close(&fd);
    fd = net_passed_take(&p, "systemd:smtp", 1); /* another time */
    assert_true(fd > 5);
    own_close(&fd);
    assert_int_equal(fcntl(3, F_GETFD), FD_CLOEXEC);
    net_passed_done(&p);
    assert_int_equal(fcntl(3, F_GETFD), -1);
    assert_int_equal(net_passed_count(&p, "systemd:smtp"), 0);
}

static void
a_unix_socket_is_found_by_its_path(void **state)
{
    char path[] = "/tmp/passed_test.XXXXXX", where[64];
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct net_passed p = {0};
    struct err err;
    int fd;

    (void)state;
    assert_non_null(mkdtemp(path));
    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/s", path);
    (void)snprintf(where, sizeof(where), "unix:%s/s", path);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(fd, 1), 0);
    if (fd != 3) {
        assert_int_equal(dup2(fd, 3), 3);
        close(fd);
    }
    set_environment(getpid(), "1", "");
    assert_true(net_passed_open(&p, &err));
    assert_int_equal(net_passed_count(&p, where), 1);
    net_passed_done(&p);
    unlink(a.sun_path);
    rmdir(path);
}

static void
what_is_meant_for_another_process_is_left_alone(void **state)
{
    struct net_passed p = {0};
    struct err err;

    (void)state;
    set_environment(getpid() + 1L, "1", "smtp");
    assert_true(net_passed_open(&p, &err));
    assert_int_equal(p.count, 0);
    assert_null(getenv("LISTEN_FDS"));
    assert_true(net_passed_open(&p, &err));
    assert_int_equal(p.count, 0);
}

static void
what_cannot_be_listened_at_is_an_error(void **state)
{
    static const char *const numbers[] = {"", "x", "-1", "1001", "1 "};
    struct net_passed p = {0};
    struct err err;
    int fd = socket(AF_INET, SOCK_STREAM, 0); /* does not listen */

    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        set_environment(getpid(), numbers[i], "");
        assert_false(net_passed_open(&p, &err));
        net_passed_done(&p);
    }
    if (fd != 3) {
        assert_int_equal(dup2(fd, 3), 3);
        close(fd);
    }
    set_environment(getpid(), "1", "");
    assert_false(net_passed_open(&p, &err));
    assert_non_null(strstr(err.text, "descriptor 3"));
    net_passed_done(&p);
    close(3);
    set_environment(getpid(), "1", "");
    assert_false(net_passed_open(&p, &err));
    net_passed_done(&p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sockets_are_found_by_name_and_by_address),
        cmocka_unit_test(a_unix_socket_is_found_by_its_path),
        cmocka_unit_test(what_is_meant_for_another_process_is_left_alone),
        cmocka_unit_test(what_cannot_be_listened_at_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
