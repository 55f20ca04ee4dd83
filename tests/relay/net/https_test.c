#include "relay/net/https.h"

#include "relay/net/certificates.h"

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define HOST "mta-sts.a.test"
#define OK "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
#define HELLO OK "Content-Length: 5\r\n\r\nhello"

/* --- a server in a thread of its own --- */

enum mode {
    ANSWER,     /* writes the text, close_notify, closes */
    ANSWER_CUT, /* the same without close_notify */
    STALL_TCP,  /* says nothing at all */
    STALL_HTTP, /* handshake, then silence */
    DRIP,       /* writes the text, an octet in 20 ms */
    FLOOD,      /* writes the text again and again */
    HANG_UP,    /* closes before the handshake */
    PLAIN_HTTP, /* writes the text without TLS */
};

static struct authority ca;

struct server {
    struct addr addr;
    int listener, stop[2];
    pthread_t thread;
    SSL_CTX *ctx;
    enum mode mode;
    const char *text;
    atomic_int connections;
    char request[2048], sni[256], alpn[32];
};

static bool
is_stopped(struct server *s, int ms)
{
    struct pollfd p = {s->stop[0], POLLIN, 0};

    return poll(&p, 1, ms) > 0;
}

static bool
put(SSL *ssl, const char *p, size_t len)
{
    return len == 0 || SSL_write(ssl, p, (int)len) > 0;
}

static void
write_text(struct server *s, SSL *ssl)
{
    size_t n = strlen(s->text);

    if (s->mode == DRIP)
        for (size_t i = 0; i < n && !is_stopped(s, 20); i++)
            if (!put(ssl, s->text + i, 1))
                return;
    if (s->mode == FLOOD)
        while (put(ssl, s->text, n) && !is_stopped(s, 0))
            ;
    if (s->mode == ANSWER || s->mode == ANSWER_CUT)
        (void)put(ssl, s->text, n);
    if (s->mode == STALL_HTTP)
        (void)is_stopped(s, -1);
    if (s->mode == ANSWER)
        (void)SSL_shutdown(ssl);
}

static void
read_request(struct server *s, SSL *ssl)
{
    size_t len = 0;
    int n = 1;

    s->request[0] = '\0';
    while (n > 0 && !strstr(s->request, "\r\n\r\n") &&
           len < sizeof(s->request) - 1) {
        n = SSL_read(ssl, s->request + len,
                     (int)(sizeof(s->request) - 1 - len));
        if (n > 0)
            s->request[len += (size_t)n] = '\0';
    }
}

static void
note_names(struct server *s, SSL *ssl)
{
    const char *sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const unsigned char *alpn;
    unsigned len;

    snprintf(s->sni, sizeof(s->sni), "%s", sni ? sni : "");
    SSL_get0_alpn_selected(ssl, &alpn, &len);
    snprintf(s->alpn, sizeof(s->alpn), "%.*s", (int)len, (const char *)alpn);
}

static void
serve(struct server *s, int fd)
{
    SSL *ssl = SSL_new(s->ctx);

    SSL_set_fd(ssl, fd);
    if (s->mode == STALL_TCP)
        (void)is_stopped(s, -1);
    else if (s->mode == PLAIN_HTTP)
        (void)!write(fd, s->text, strlen(s->text));
    else if (s->mode != HANG_UP && SSL_accept(ssl) == 1) {
        note_names(s, ssl);
        read_request(s, ssl);
        write_text(s, ssl);
    }
    SSL_free(ssl);
}

static void *
run_server(void *arg)
{
    struct server *s = arg;
    struct pollfd p[2] = {{s->stop[0], POLLIN, 0}, {s->listener, POLLIN, 0}};

    while (poll(p, 2, -1) > 0 && !p[0].revents) {
        struct timeval limit = {.tv_sec = 5};
        int fd = accept(s->listener, NULL, NULL);

        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
        atomic_fetch_add(&s->connections, 1);
        serve(s, fd);
        close(fd);
    }
    return NULL;
}

/* Speaks h2 rather than http/1.1, if it is offered. */
static int
choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *len,
            const unsigned char *in, unsigned in_len, void *arg)
{
    static const unsigned char mine[] = "\x02h2\x08http/1.1";

    (void)ssl, (void)arg;
    if (SSL_select_next_proto((unsigned char **)(uintptr_t)out, len, mine,
                              sizeof(mine) - 1, in,
                              in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    return SSL_TLSEXT_ERR_OK;
}

static void
open_server(struct server *s, const char *file, enum mode mode,
            const char *text)
{
    char certificate[PATH_SIZE], key[PATH_SIZE];
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t n = sizeof(in);

    (void)snprintf(certificate, sizeof(certificate), "%s/%s.pem", ca.dir, file);
    (void)snprintf(key, sizeof(key), "%s/%s.key", ca.dir, file);
    *s = (struct server){.mode = mode, .text = text};
    s->ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_alpn_select_cb(s->ctx, choose_alpn, NULL);
    assert_int_equal(SSL_CTX_use_certificate_chain_file(s->ctx, certificate),
                     1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(s->ctx, key, SSL_FILETYPE_PEM),
                     1);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&in, n), 0);
    assert_int_equal(listen(s->listener, 8), 0);
    getsockname(s->listener, (struct sockaddr *)&in, &n);
    s->addr = addr_from_sockaddr((struct sockaddr *)&in);
    assert_int_equal(pipe(s->stop), 0);
    pthread_create(&s->thread, NULL, run_server, s);
}

static void
close_server(struct server *s)
{
    assert_int_equal(write(s->stop[1], "", 1), 1);
    pthread_join(s->thread, NULL);
    SSL_CTX_free(s->ctx);
    close(s->listener);
    close(s->stop[0]);
    close(s->stop[1]);
}

/* --- the client --- */

struct outcome {
    struct net_https *https;
    int calls;
    char body[100];
    size_t len;
    struct err err;
    bool has_facts;
    struct net_tls_facts facts;
};

static void
done(void *ctx, struct slice body, const struct err *err,
     const struct net_tls_facts *facts)
{
    struct outcome *o = ctx;

    assert_null(o->https);
    o->calls++;
    o->len = body.len;
    snprintf(o->body, sizeof(o->body), "%.*s", (int)body.len, body.p);
    if (err)
        o->err = *err;
    if (facts) {
        o->has_facts = true;
        o->facts = *facts;
    }
}

static struct net_https_request
request_to(const struct addr *addresses, size_t count)
{
    return (struct net_https_request){.host = HOST,
                                      .path = "/.well-known/mta-sts.txt",
                                      .media_type = "text/plain",
                                      .addresses = addresses,
                                      .address_count = count,
                                      .limit_ms = 3000};
}

/* The context goes at once, as when settings are loaded anew. */
static struct outcome
fetch(struct net_https_request request)
{
    struct outcome o = {0};
    struct err err;
    uv_loop_t loop;

    uv_loop_init(&loop);
    request.tls = net_tls_client(authority_path(&ca, "ca.pem"), &err);
    assert_non_null(request.tls);
    net_https_start(&o.https, &loop, &request, done, &o);
    net_tls_free(&request.tls);
    assert_int_equal(o.calls, 0);
    assert_non_null(o.https);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(o.calls, 1);
    assert_int_equal(uv_loop_close(&loop), 0);
    return o;
}

static struct outcome
get(const char *file, enum mode mode, const char *text)
{
    struct server s;
    struct outcome o;
    struct net_https_request request;

    open_server(&s, file, mode, text);
    request = request_to(&s.addr, 1);
    if (mode != ANSWER && mode != ANSWER_CUT)
        request.limit_ms = 300;
    o = fetch(request);
    close_server(&s);
    return o;
}

static void
fetches_a_policy(void **state)
{
    struct server s;
    struct outcome o;
    char expected[512];

    (void)state;
    open_server(&s, "good", ANSWER, HELLO);
    o = fetch(request_to(&s.addr, 1));
    close_server(&s);
    assert_int_equal(o.err.kind, ERR_NONE);
    assert_string_equal(o.body, "hello");
    assert_true(o.has_facts);
    assert_int_equal(o.facts.verdict, NET_TLS_VERIFIED);
    assert_string_equal(s.sni, HOST);
    assert_string_equal(s.alpn, "http/1.1");
    snprintf(expected, sizeof(expected),
             "GET /.well-known/mta-sts.txt HTTP/1.1\r\n"
             "Host: " HOST ":%u\r\n"
             "User-Agent: Sealpost/" SEALPOST_VERSION "\r\n"
             "Accept: text/plain\r\n"
             "Accept-Encoding: identity\r\n"
             "Connection: close\r\n\r\n",
             addr_port(&s.addr));
    assert_string_equal(s.request, expected);
}

static void
posts_a_body(void **state)
{
    struct net_https_request request;
    struct server s;
    struct outcome o;
    char expected[512];

    (void)state;
    open_server(&s, "good", ANSWER,
                "HTTP/1.1 202 Accepted\r\nContent-Type: x/y\r\n\r\nthanks");
    request = request_to(&s.addr, 1);
    request.media_type = NULL;
    request.body_type = "application/tlsrpt+gzip";
    request.body = (struct slice){"\x1f", 1};
    request.fields = "x-own: 1\r\nx-other: 2\r\n";
    o = fetch(request);
    close_server(&s);
    assert_int_equal(o.err.kind, ERR_NONE);
    assert_int_equal(o.len, 0);
    snprintf(expected, sizeof(expected),
             "POST /.well-known/mta-sts.txt HTTP/1.1\r\n"
             "Host: " HOST ":%u\r\n"
             "User-Agent: Sealpost/" SEALPOST_VERSION "\r\n"
             "Content-Type: application/tlsrpt+gzip\r\n"
             "Content-Length: 1\r\n"
             "x-own: 1\r\nx-other: 2\r\n"
             "Accept-Encoding: identity\r\n"
             "Connection: close\r\n\r\n\x1f",
             addr_port(&s.addr));
    assert_string_equal(s.request, expected);
}

/* The server answers without a look at the request. */
static void
without_tls_it_is_http(void **state)
{
    static const char *const hosts[] = {"localhost", "127.0.0.1", "[::1]"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct outcome o = {0};
        struct net_https_request request;
        struct server s;
        uv_loop_t loop;

        uv_loop_init(&loop);
        open_server(&s, "good", PLAIN_HTTP, HELLO);
        request = request_to(&s.addr, 1);
        request.host = hosts[i];
        net_https_start(&o.https, &loop, &request, done, &o);
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&loop), 0);
        close_server(&s);
        assert_int_equal(o.calls, 1);
        assert_string_equal(o.body, "hello");
        assert_false(o.has_facts);
    }
}

static void
posts_a_form_and_reads_the_answer(void **state)
{
    static const char *const answers[] = {
        HELLO,
        "HTTP/1.1 400 No\r\nContent-Type: text/plain\r\n"
        "Content-Length: 5\r\n\r\nhello",
        "HTTP/1.1 503 No\r\nContent-Type: text/plain\r\n"
        "Content-Length: 5\r\n\r\nhello",
    };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct net_https_request request;
        struct server s;
        struct outcome o;

        open_server(&s, "good", ANSWER, answers[i]);
        request = request_to(&s.addr, 1);
        request.body_type = "application/x-www-form-urlencoded";
        request.body = slice_of("a=b");
        o = fetch(request);
        close_server(&s);
        assert_string_equal(o.body, i < 2 ? "hello" : "");
        assert_int_equal(o.err.kind, i < 1 ? ERR_NONE : ERR_INPUT);
        assert_non_null(strstr(s.request, "\r\nAccept: text/plain\r\n"));
        assert_non_null(strstr(s.request, "\r\nContent-Length: 3\r\n"));
    }
}

static void
a_wildcard_certificate_will_do(void **state)
{
    (void)state;
    assert_string_equal(get("wildcard", ANSWER, HELLO).body, "hello");
}

static void
a_certificate_that_proves_nothing_fails(void **state)
{
    static const struct {
        const char *file;
        enum net_tls_verdict verdict;
    } cases[] = {
        {"other", NET_TLS_WRONG_NAME}, {"parent", NET_TLS_WRONG_NAME},
        {"deep", NET_TLS_WRONG_NAME},  {"expired", NET_TLS_EXPIRED},
        {"early", NET_TLS_EXPIRED},    {"own", NET_TLS_NOT_TRUSTED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct outcome o = get(cases[i].file, ANSWER, HELLO);

        if (o.err.kind != ERR_TLS)
            print_error("%s: %s\n", cases[i].file, o.err.text);
        assert_int_equal(o.err.kind, ERR_TLS);
        assert_int_equal(o.len, 0);
        assert_true(o.has_facts);
        assert_int_equal(o.facts.verdict, cases[i].verdict);
    }
}

static void
a_response_that_is_none_fails_in_one_line(void **state)
{
    struct outcome o;

    (void)state;
    o = get("good", ANSWER, "HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n");
    assert_int_equal(o.err.kind, ERR_INPUT);
    assert_string_equal(o.err.text, "HTTP: expected status 200, got 302 Found "
                                    "(redirects are not followed)");
    assert_true(o.has_facts);
    o = get("good", ANSWER, OK "Content-Encoding: gzip\r\n\r\nhello");
    assert_int_equal(o.err.kind, ERR_INPUT);
    o = get("good", ANSWER, OK "Content-Length: 70000\r\n\r\nhello");
    assert_int_equal(o.err.kind, ERR_LIMIT);
    o = get("good", ANSWER, OK "Content-Length: 100\r\n\r\nhello");
    assert_int_equal(o.err.kind, ERR_INPUT);
    assert_null(strchr(o.err.text, '\n'));
}

static void
an_end_without_close_notify_ends_no_body(void **state)
{
    struct outcome o;

    (void)state;
    o = get("good", ANSWER, OK "\r\nhello");
    assert_string_equal(o.body, "hello");
    o = get("good", ANSWER_CUT, OK "\r\nhello");
    assert_int_not_equal(o.err.kind, ERR_NONE);
    assert_int_equal(o.len, 0);
    /* A body whose length was told needs none. */
    o = get("good", ANSWER_CUT, HELLO);
    assert_string_equal(o.body, "hello");
    o = get("good", ANSWER_CUT, OK "Content-Length: 6\r\n\r\nhello");
    assert_int_not_equal(o.err.kind, ERR_NONE);
}

static void
the_time_limit_holds_in_every_state(void **state)
{
    static const enum mode modes[] = {STALL_TCP, STALL_HTTP, DRIP};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        uint64_t began = uv_hrtime();
        struct outcome o = get("good", modes[i], HELLO HELLO HELLO);

        assert_int_equal(o.err.kind, ERR_TIMEOUT);
        assert_true(uv_hrtime() - began < 2000u * 1000 * 1000);
    }
}

static void
a_flood_is_cut_off(void **state)
{
    struct outcome o;

    (void)state;
    o = get("good", FLOOD, OK);
    assert_int_equal(o.err.kind, ERR_LIMIT);
}

static void
a_server_without_tls_fails(void **state)
{
    struct outcome o;

    (void)state;
    o = get("good", PLAIN_HTTP, HELLO);
    assert_int_equal(o.err.kind, ERR_TLS);
    o = get("good", HANG_UP, HELLO);
    assert_int_equal(o.err.kind, ERR_TLS);
}

static void
addresses_are_tried_in_order(void **state)
{
    struct server good, broken;
    struct addr addresses[4];
    struct outcome o;

    (void)state;
    open_server(&good, "good", ANSWER, HELLO);
    open_server(&broken, "good", HANG_UP, HELLO);
    addresses[0] = good.addr;
    addr_set_port(&addresses[0], 9); /* nobody listens */
    addresses[1] = broken.addr;
    addresses[2] = good.addr;
    addresses[3] = broken.addr;
    o = fetch(request_to(addresses, 4));
    assert_string_equal(o.body, "hello");
    assert_int_equal(broken.connections, 1);
    o = fetch(request_to(addresses, 1));
    assert_int_equal(o.err.kind, ERR_SYSTEM);
    o = fetch(request_to(addresses, 2));
    assert_int_equal(o.err.kind, ERR_TLS);
    close_server(&good);
    close_server(&broken);
}

static void
a_bad_request_fails_later_too(void **state)
{
    static const char *const hosts[] = {
        "", "a b", "a\r\nX: y", "a:443", "u@a", "a.", "a/b", "\xc3\xbc.test"};
    struct addr nobody = addr_from_v4((struct in_addr){htonl(0x7f000001)}, 9);

    (void)state;
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        struct net_https_request r = request_to(&nobody, 1);

        r.host = hosts[i];
        assert_int_equal(fetch(r).err.kind, ERR_INPUT);
    }
    for (size_t i = 0; i < 3; i++) {
        struct net_https_request r = request_to(&nobody, 1);

        r.path = i == 0 ? "" : i == 1 ? "a" : "/a\r\nX: y";
        assert_int_equal(fetch(r).err.kind, ERR_INPUT);
    }
    assert_int_equal(fetch(request_to(&nobody, 0)).err.kind, ERR_MISSING);
}

static void
nothing_is_heard_behind_a_cancel(void **state)
{
    static const enum mode modes[] = {STALL_TCP, STALL_HTTP, DRIP};

    (void)state;
    for (size_t i = 0; i < 12; i++) {
        struct server s;
        struct outcome o = {0};
        struct net_https_request r;
        struct err err;
        uv_loop_t loop;

        open_server(&s, "good", modes[i / 4], HELLO HELLO);
        uv_loop_init(&loop);
        r = request_to(&s.addr, 1);
        r.tls = net_tls_client(authority_path(&ca, "ca.pem"), &err);
        net_https_start(&o.https, &loop, &r, done, &o);
        for (size_t turns = 0; turns < i % 4 * 3; turns++) {
            uv_run(&loop, UV_RUN_NOWAIT);
            usleep(3000);
        }
        net_https_cancel(&o.https);
        assert_null(o.https);
        net_https_cancel(&o.https);
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(o.calls, 0);
        assert_int_equal(uv_loop_close(&loop), 0);
        net_tls_free(&r.tls);
        close_server(&s);
    }
}

static int
make_certs(void **state)
{
    static const struct {
        const char *file;
        struct wish wish;
    } leaves[] = {
        {"good", {.names = "DNS:" HOST}},
        {"wildcard", {.names = "DNS:*.a.test"}},
        {"other", {.names = "DNS:mta-sts.b.test"}},
        {"parent", {.names = "DNS:a.test"}},
        {"deep", {.names = "DNS:*.test"}},
        {"expired", {.names = "DNS:" HOST, .from_s = -7200, .until_s = -3600}},
        {"early", {.names = "DNS:" HOST, .from_s = 3600, .until_s = 7200}},
        {"own", {.names = "DNS:" HOST, .signs_itself = true}},
    };

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    authority_open(&ca);
    for (size_t i = 0; i < sizeof(leaves) / sizeof(*leaves); i++) {
        struct wish wish = leaves[i].wish;

        wish.common_name = "leaf.test";
        authority_issue(&ca, leaves[i].file, &wish);
    }
    return 0;
}

static int
remove_certs(void **state)
{
    (void)state;
    authority_close(&ca);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fetches_a_policy),
        cmocka_unit_test(posts_a_body),
        cmocka_unit_test(without_tls_it_is_http),
        cmocka_unit_test(posts_a_form_and_reads_the_answer),
        cmocka_unit_test(a_wildcard_certificate_will_do),
        cmocka_unit_test(a_certificate_that_proves_nothing_fails),
        cmocka_unit_test(a_response_that_is_none_fails_in_one_line),
        cmocka_unit_test(an_end_without_close_notify_ends_no_body),
        cmocka_unit_test(the_time_limit_holds_in_every_state),
        cmocka_unit_test(a_flood_is_cut_off),
        cmocka_unit_test(a_server_without_tls_fails),
        cmocka_unit_test(addresses_are_tried_in_order),
        cmocka_unit_test(a_bad_request_fails_later_too),
        cmocka_unit_test(nothing_is_heard_behind_a_cancel),
    };

    return cmocka_run_group_tests(tests, make_certs, remove_certs);
}
