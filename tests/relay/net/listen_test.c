#include "relay/net/listen.h"

#include "relay/base/own.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

struct house {
    uv_loop_t loop;
    struct net_listen *listen;
    struct err err;
    int calls;
    struct addr peer;
    bool closes;
};

static void
accepted(void *ctx, int fd, const struct addr *peer)
{
    struct house *h = ctx;

    assert_true(fd >= 0);
    h->calls++;
    h->peer = *peer;
    own_close(&fd);
    if (h->closes)
        net_listen_close(&h->listen);
}

static bool
begin(struct house *h, const char *where)
{
    *h = (struct house){0};
    assert_int_equal(uv_loop_init(&h->loop), 0);
    h->listen = net_listen_open(&h->loop, where, 0, accepted, h, &h->err);
    return h->listen != NULL;
}

static void
end(struct house *h)
{
    net_listen_close(&h->listen);
    net_listen_close(&h->listen);
    uv_run(&h->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&h->loop), 0);
}

static struct addr
where(const struct house *h)
{
    struct addr a;
    struct err err;

    assert_true(
        addr_parse_port(slice_of(net_listen_where(h->listen)), 0, &a, &err));
    return a;
}

static int
knock(const struct addr *a)
{
    int fd = socket(a->any.sa_family, SOCK_STREAM, 0);

    assert_int_equal(connect(fd, &a->any, addr_len(a)), 0);
    return fd;
}

static bool
knock_unix(const char *path, int *fd)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    *fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return connect(*fd, (struct sockaddr *)&a, sizeof(a)) == 0;
}

static void
it_listens_on_a_free_port_and_says_which(void **state)
{
    scoped(own_close) int fd = -1;
    struct house h;
    struct addr a;

    (void)state;
    assert_true(begin(&h, "127.0.0.1:0"));
    a = where(&h);
    assert_true(addr_port(&a) > 0);
    fd = knock(&a);
    uv_run(&h.loop, UV_RUN_NOWAIT);
    assert_int_equal(h.calls, 1);
    assert_true(addr_is_loopback(&h.peer));
    end(&h);
}

static void
the_unspecified_address_of_ipv6_takes_both_families(void **state)
{
    scoped(own_close) int fd = -1;
    struct house h;
    struct addr a;

    (void)state;
    if (!begin(&h, "[::]:0")) {
        end(&h);
        skip(); /* a machine without IPv6 */
    }
    a = where(&h);
    a = addr_from_v4((struct in_addr){htonl(INADDR_LOOPBACK)}, addr_port(&a));
    fd = knock(&a);
    uv_run(&h.loop, UV_RUN_NOWAIT);
    assert_int_equal(h.calls, 1);
    assert_int_equal(h.peer.any.sa_family, AF_INET);
    end(&h);
}

static void
errors_name_the_address(void **state)
{
    struct house h, second;

    (void)state;
    assert_false(begin(&h, "127.0.0.1"));
    assert_non_null(strstr(h.err.text, "127.0.0.1"));
    end(&h);
    assert_false(begin(&h, "mail.example.com:25"));
    assert_non_null(strstr(h.err.text, "mail.example.com:25"));
    end(&h);
    assert_false(begin(&h, "192.0.2.1:2525"));
    assert_non_null(strstr(h.err.text, "192.0.2.1:2525: "));
    end(&h);
    assert_false(begin(&h, "unix:"));
    end(&h);
    assert_false(begin(&h, "unix:/nowhere/at/all.sock"));
    assert_non_null(strstr(h.err.text, "unix:/nowhere/at/all.sock: "));
    end(&h);

    assert_true(begin(&h, "127.0.0.1:0"));
    assert_false(begin(&second, net_listen_where(h.listen)));
    assert_non_null(strstr(second.err.text, "Address already in use"));
    end(&second);
    end(&h);
}

static void
the_callee_may_close(void **state)
{
    scoped(own_close) int first = -1;
    scoped(own_close) int second = -1;
    struct house h;
    struct addr a;

    (void)state;
    assert_true(begin(&h, "127.0.0.1:0"));
    h.closes = true;
    a = where(&h);
    first = knock(&a);
    second = knock(&a);
    uv_run(&h.loop, UV_RUN_NOWAIT);
    uv_run(&h.loop, UV_RUN_NOWAIT);
    assert_int_equal(h.calls, 1);
    assert_null(h.listen);
    end(&h);
}

static void
without_descriptors_it_rests_and_then_goes_on(void **state)
{
    scoped(own_close) int fd = -1;
    scoped(own_close) int next = -1;
    struct rlimit before, none;
    struct house h;
    struct addr a;
    clock_t used;

    (void)state;
    assert_true(begin(&h, "127.0.0.1:0"));
    a = where(&h);
    fd = knock(&a);
    uv_run(&h.loop, UV_RUN_NOWAIT);
    assert_int_equal(h.calls, 1);
    next = knock(&a);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    used = clock();
    uv_run(&h.loop, UV_RUN_NOWAIT);
    uv_run(&h.loop, UV_RUN_ONCE); /* sleeps instead of spinning */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(h.calls, 1);
    assert_true(clock() - used < CLOCKS_PER_SEC / 20);
    uv_run(&h.loop, UV_RUN_ONCE);
    uv_run(&h.loop, UV_RUN_NOWAIT);
    assert_int_equal(h.calls, 2);
    end(&h);
}

static void
a_unix_socket_is_private_and_removed_at_the_end(void **state)
{
    scoped(own_close) int fd = -1;
    char path[] = "/tmp/listen_test.XXXXXX", name[64];
    struct house h;
    struct stat st;

    (void)state;
    assert_non_null(mkdtemp(path));
    (void)snprintf(name, sizeof(name), "unix:%s/s", path);
    assert_true(begin(&h, name));
    assert_string_equal(net_listen_where(h.listen), name);
    assert_int_equal(stat(name + 5, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(knock_unix(name + 5, &fd));
    uv_run(&h.loop, UV_RUN_NOWAIT);
    assert_int_equal(h.calls, 1);
    assert_int_equal(h.peer.any.sa_family, AF_UNSPEC);
    end(&h);
    assert_int_equal(stat(name + 5, &st), -1);
    rmdir(path);
}

static void
a_dead_socket_file_is_replaced_and_nothing_else(void **state)
{
    char path[] = "/tmp/listen_test.XXXXXX", name[64];
    struct house h, second;
    struct stat st;
    int fd = -1;
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    (void)state;
    assert_non_null(mkdtemp(path));
    (void)snprintf(name, sizeof(name), "unix:%s/s", path);

    /* Left behind by a process that died. */
    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", name + 5);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    own_close(&fd);
    assert_true(begin(&h, name));

    /* Alive. */
    assert_false(begin(&second, name));
    assert_non_null(strstr(second.err.text, "Address already in use"));
    end(&second);
    assert_int_equal(stat(name + 5, &st), 0);
    end(&h);

    /* No socket at all. */
    fclose(fopen(name + 5, "w"));
    assert_false(begin(&h, name));
    end(&h);
    assert_int_equal(stat(name + 5, &st), 0);
    unlink(name + 5);
    rmdir(path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_listens_on_a_free_port_and_says_which),
        cmocka_unit_test(the_unspecified_address_of_ipv6_takes_both_families),
        cmocka_unit_test(errors_name_the_address),
        cmocka_unit_test(the_callee_may_close),
        cmocka_unit_test(without_descriptors_it_rests_and_then_goes_on),
        cmocka_unit_test(a_unix_socket_is_private_and_removed_at_the_end),
        cmocka_unit_test(a_dead_socket_file_is_replaced_and_nothing_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
