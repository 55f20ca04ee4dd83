#include "relay/config/config.h"

#include "relay/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* A configuration out of a text, with whatever it was reported. */
struct fixture {
    char file[64];
    struct config *c;
    struct config_errors errs;
};

static void
write_file(char path[64], const char *text)
{
    int fd;

    (void)snprintf(path, 64, "/tmp/sealpost-config-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
}

static bool
load(struct fixture *f, const char *text)
{
    write_file(f->file, text);
    return config_load(f->file, &f->c, &f->errs);
}

static void
done(struct fixture *f)
{
    (void)unlink(f->file);
    config_free(&f->c);
    config_errors_done(&f->errs);
}

static bool
says(const struct fixture *f, const char *part)
{
    for (size_t i = 0; i < f->errs.count; i++)
        if (strstr(f->errs.text[i], part))
            return true;
    return false;
}

/* The one text is refused with an error that says the other, line included. */
static void
expect_error(const char *text, const char *want)
{
    scoped(done) struct fixture f = {0};
    scoped(own_free) char *whole = NULL;

    if (load(&f, text))
        fail_msg("accepted: %s", text);
    whole = mem_printf("%s:%s", f.file, want);
    if (!says(&f, whole)) {
        for (size_t i = 0; i < f.errs.count; i++)
            print_error("got  %s\n", f.errs.text[i]);
        fail_msg("want %s", whole);
    }
}

static void
expect_env_error(const char *name, const char *value, const char *want)
{
    scoped(done) struct fixture f = {0};

    (void)setenv(name, value, 1);
    assert_false(load(&f, ""));
    (void)unsetenv(name);
    if (!says(&f, want))
        fail_msg("want %s, got %s", want, f.errs.text[0]);
}

static void
the_defaults_are_those_of_the_manual(void **state)
{
    scoped(done) struct fixture f = {0};
    const struct config *c;

    (void)state;
    assert_true(load(&f, ""));
    c = f.c;
    assert_string_equal(c->hostname, "relay.example.com");
    assert_int_equal(c->mode, CONFIG_MODE_LIVE);
    assert_true(c->workers >= 1);
    assert_int_equal(c->history.keep_ms, 7LL * 24 * 3600 * 1000);
    assert_int_equal(c->history.rows_max, 1000000);
    assert_int_equal(c->log.level, LOG_LEVEL_INFO);
    assert_int_equal(c->listener_count, 1);
    assert_string_equal(c->listener[0].name, "app");
    assert_string_equal(c->listener[0].address, "127.0.0.1:2525");
    assert_int_equal(c->listener[0].tls, CONFIG_TLS_NONE);
    assert_int_equal(c->listener[0].networks.count, 0);
    assert_int_equal(c->access.networks.count, 2);
    assert_int_equal(c->access.networks.net[0].bits, 8);
    assert_int_equal(c->access.size_max, 50 * 1024 * 1024);
    assert_int_equal(c->access.rcpt_max, 1000);
    assert_int_equal(c->resolver.server_count, 0);
    assert_int_equal(c->resolver.timeout_ms, 5000);
    assert_true(c->policy.sts && c->policy.dane);
    assert_int_equal(c->policy.level, POLICY_LEVEL_OPPORTUNISTIC);
    assert_int_equal(c->policy.https_port, 443);
    assert_int_equal(c->domain_count, 0);
    assert_int_equal(c->route_count, 0);
    assert_int_equal(c->retry.steps, 7);
    assert_int_equal(c->retry.step_ms[6], 4 * 3600 * 1000);
    assert_int_equal(c->retry.expire_ms, 5LL * 24 * 3600 * 1000);
    assert_int_equal(c->retry.warn_ms, 4 * 3600 * 1000);
    assert_int_equal(c->delivery.connections, 500);
    assert_int_equal(c->delivery.port, 25);
    assert_true(c->delivery.ipv6);
    assert_false(c->delivery.allow_private);
    assert_true(c->rewrite.add_missing_headers);
    assert_string_equal(c->http.address, "127.0.0.1:8025");
    assert_string_equal(c->http.token, "");
    assert_string_equal(c->state_directory, "/tmp/sealpost-state");
}

static void
no_file_at_all_will_do(void **state)
{
    scoped(done) struct fixture f = {0};

    (void)state;
    if (access(CONFIG_FILE_DEFAULT, F_OK) == 0)
        skip();
    assert_true(config_load(NULL, &f.c, &f.errs));
}

static const char whole[] =
    "mode = redirect\n"
    "redirect_to = \"ops@Example.ORG\"\n"
    "workers = 3\n"
    "# a comment\n"
    "listener \"a\" { address = \"127.0.0.1:2601\" networks = "
    "{\"10.0.0.0/8\"} connections = 7 connections_per_client = 3 "
    "connection_rate = \"9/1m\" message_size_max = 2K }\n"
    "listener \"b\" { address = \"unix:/run/x/smtp.sock\" socket_mode = 0666 "
    "sender_domains = {only.example} }\n"
    "access { networks = {\"192.0.2.0/24\", \"2001:db8::/32\"}\n"
    "         sender_domains = {\"B\xc3\xbc"
    "cher.example\"} message_size_max = 1M }\n"
    "resolver { servers = {\"127.0.0.1:5353\", \"::1\"} timeout = 250ms }\n"
    "policy { tls = verified enforce = report }\n"
    "domain \"Lab.Example\" { sts = no tls = opportunistic reason = \"test "
    "lab\" until = \"2096-02-29\" }\n"
    "domain \"bank.example\" { tls = verified }\n"
    "route \"inner\" { from = {\"app@one.example\"} to = {\"@Two.example\"}\n"
    "    via = {\"[2001:db8::1]:26\", \"192.0.2.7\"} tls = required }\n"
    "route \"provider\" { to = {\"*\"} via = {\"smtp.provider.example:465\"} "
    "rate = \"5/1s\" }\n"
    "route \"backup\" { to = {\"*\"} via = {\"mx:backup.example\"} }\n"
    "retry { schedule = {1s, 2s} expire = 1m warn = 0 }\n"
    "delivery { bind = {\"192.0.2.9\"} port = 2525 ipv6 = off "
    "allow_private = on }\n";

static void
every_kind_of_value_is_read(void **state)
{
    scoped(done) struct fixture f = {0};
    const struct config *c;
    char text[ADDR_TEXT_SIZE];

    (void)state;
    assert_true(load(&f, whole));
    c = f.c;
    assert_int_equal(c->mode, CONFIG_MODE_REDIRECT);
    assert_int_equal(c->workers, 3);
    assert_int_equal(c->listener_count, 2);
    assert_int_equal(c->listener[0].networks.net[0].bits, 8);
    assert_string_equal(c->listener[1].address, "unix:/run/x/smtp.sock");
    assert_int_equal(c->listener[1].socket_mode, 0666);
    assert_int_equal(c->listener[0].connections, 7);
    assert_int_equal(c->listener[0].connections_per_client, 3);
    assert_int_equal(c->listener[0].connection_rate.count, 9);
    assert_int_equal(c->listener[0].size_max, 2048);
    assert_int_equal(c->listener[1].size_max, c->access.size_max);
    assert_int_equal(c->listener[0].rcpt_max, c->access.rcpt_max);
    assert_int_equal(c->listener[0].sender_domains.count,
                     c->access.sender_domains.count);
    assert_int_equal(c->listener[1].sender_domains.count, 1);
    assert_string_equal(c->listener[1].sender_domains.text[0], "only.example");
    assert_int_equal(c->access.networks.count, 2);
    assert_string_equal(c->access.sender_domains.text[0],
                        "xn--bcher-kva.example");
    assert_int_equal(c->access.size_max, 1024 * 1024);
    assert_int_equal(c->resolver.server_count, 2);
    assert_string_equal(addr_text_port(&c->resolver.server[0], text),
                        "127.0.0.1:5353");
    assert_string_equal(addr_text_port(&c->resolver.server[1], text),
                        "[::1]:53");
    assert_int_equal(c->resolver.timeout_ms, 250);
    assert_int_equal(c->route_count, 3);
    assert_true(c->route[0].via[0].is_address);
    assert_string_equal(c->route[0].via[0].host, "2001:db8::1");
    assert_int_equal(c->route[0].via[0].port, 26);
    assert_int_equal(c->route[0].via[1].port, 25);
    assert_int_equal(c->route[0].level, POLICY_LEVEL_REQUIRED);
    assert_true(c->route[1].via[0].implicit_tls);
    assert_true(c->route[2].via[0].is_mx);
    assert_string_equal(c->route[2].via[0].host, "backup.example");
    assert_int_equal(c->route[1].level, POLICY_LEVEL_VERIFIED);
    assert_int_equal(c->route[1].connections, 10);
    assert_int_equal(c->route[1].rate.count, 5);
    assert_int_equal(c->retry.steps, 2);
    assert_int_equal(c->retry.warn_ms, 0);
    assert_int_equal(c->delivery.bind_count, 1);
    assert_int_equal(c->delivery.port, 2525);
    assert_false(c->delivery.ipv6);
    assert_true(c->delivery.allow_private);
}

static void
a_domain_rule_ends_with_its_exemption(void **state)
{
    scoped(done) struct fixture f = {0};
    struct config_domain rule;

    (void)state;
    assert_true(load(&f, whole));
    rule = config_rule_for(f.c, "lab.example", 0);
    assert_false(rule.sts);
    assert_true(rule.is_exemption);
    assert_int_equal(rule.level, POLICY_LEVEL_OPPORTUNISTIC);
    assert_int_equal(rule.until_ms, 3981398400000); /* 2096-03-01 */
    rule = config_rule_for(f.c, "lab.example", 3981398400000);
    assert_true(rule.sts);
    assert_false(rule.is_exemption);
    assert_int_equal(rule.level, POLICY_LEVEL_VERIFIED);
    assert_false(config_rule_for(f.c, "bank.example", 0).is_exemption);
    assert_string_equal(config_rule_for(f.c, "other.example", 0).name, "");
}

static void
what_an_exemption_strengthens_outlives_it(void **state)
{
    static const char text[] =
        "policy { dane = on requiretls = opportunistic }\n"
        "domain \"a.example\" { sts = off tls = verified dane = required\n"
        "  requiretls = enforce\n"
        "  dane_insecure_mx = dane mx_ca = \"/etc/passwd\"\n"
        "  reason = x until = \"2027-01-31\" }\n";
    scoped(done) struct fixture f = {0};

    (void)state;
    assert_true(load(&f, text));
    for (int64_t now = 0; now <= 4000000000000; now += 4000000000000) {
        struct config_domain rule = config_rule_for(f.c, "a.example", now);

        assert_int_equal(rule.sts, now > 0);
        assert_int_equal(rule.dane, POLICY_DANE_REQUIRED);
        assert_int_equal(rule.half_dane, CONFIG_HALF_DANE_HEEDED);
        assert_int_equal(rule.requiretls, CONFIG_REQUIRETLS_ENFORCE);
        assert_string_equal(rule.anchors, "/etc/passwd");
        assert_int_equal(rule.level, POLICY_LEVEL_VERIFIED);
    }
    assert_string_equal(config_rule_for(f.c, "b.example", 0).anchors, "");
}

static void
the_first_route_that_matches_wins(void **state)
{
    static const struct {
        const char *from, *to, *want;
    } rows[] = {
        {"app@one.example", "x@two.example", "inner"},
        {"APP@ONE.example", "x@TWO.example", "inner"},
        {"app@one.example", "x@three.example", "provider"},
        {"", "x@two.example", "provider"},
        {"app@one.example", "x@sub.two.example", "provider"},
    };
    scoped(done) struct fixture f = {0};

    (void)state;
    assert_true(load(&f, whole));
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        assert_string_equal(
            config_route_for(f.c, rows[i].from, rows[i].to)->name,
            rows[i].want);
}

static void
without_a_route_mail_goes_by_mx(void **state)
{
    scoped(done) struct fixture f = {0};

    (void)state;
    assert_true(load(&f, "route \"null\" { from = {\"<>\"} to = {\"*\"} "
                         "via = {\"h.example\"} }"));
    assert_null(config_route_for(f.c, "a@b.example", "c@d.example"));
    assert_non_null(config_route_for(f.c, "", "c@d.example"));
}

static void
what_is_wrong_is_said_with_file_line_and_key(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"tlsrpt { from = \"nobody\" }", "1: tlsrpt.from: "},
        {"tlsrpt { enabled = perhaps }", "1: tlsrpt.enabled: "},
        {"\nhostnam = \"x\"",
         "2: hostnam: no such key; did you mean \"hostname\"?"},
        {"policy { tsl = required }",
         "1: policy.tsl: no such key; did you mean \"tls\"?"},
        {"polici { tls = required }",
         "1: polici: no such key; did you mean \"policy\"?"},
        {"message_size_max = 5M",
         "1: message_size_max: no such key here; it belongs into \"access\""},
        {"include(\"/etc/passwd\")", "1: include: no such key"},
        {"route \"r\" {\n to = {\"*\"}\n vai = {\"h.example\"} }",
         "3: route.r.vai: no such key; did you mean \"via\"?"},
        {"workers = many",
         "1: workers: \"many\" is not a number from 0 to 256"},
        {"workers = -1", "1: workers: \"-1\" is not a number from 0 to 256"},
        {"workers = 0x10",
         "1: workers: \"0x10\" is not a number from 0 to 256"},
        {"workers = 4294967297", "1: workers: 4294967297 is not from 0 to 256"},
        {"access { message_size_max = 1e30 }",
         "1: access.message_size_max: \"1e30\" is not from 1K to 1G"},
        {"access { message_size_max = 10Q }",
         "1: access.message_size_max: \"10Q\" is not from 1K to 1G"},
        {"access { message_size_max = -1 }",
         "1: access.message_size_max: \"-1\" is not from 1K to 1G"},
        {"access { message_size_max = 4G }",
         "1: access.message_size_max: 4G is not from 1K to 1G"},
        {"access { recipients_max = 0 }",
         "1: access.recipients_max: 0 is not from 1 to 16384"},
        {"delivery { port = 0 }", "1: delivery.port: 0 is not from 1 to 65535"},
        {"delivery { port = 65536 }",
         "1: delivery.port: 65536 is not from 1 to 65535"},
        {"history { keep = 1000000000d }", "1: history.keep: "},
        {"retry { expire = 5 }", "1: retry.expire: \"5\": "},
        {"retry { expire = 400d }",
         "1: retry.expire: 400d is not from 1s to 60d"},
        {"retry { schedule = {} }", "1: retry.schedule: needs from 1 to 32"},
        {"retry { warn = 5d }", "1: retry.warn: is not before retry.expire"},
        {"policy { tls = strong }",
         "1: policy.tls: \"strong\" is none of opportunistic, required, "
         "verified"},
        {"policy { sts = maybe }",
         "1: policy.sts: \"maybe\" is neither true nor false"},
        {"policy { dane = maybe }",
         "1: policy.dane: \"maybe\" is neither true, false nor required"},
        {"policy { dane = required }\nresolver { dnssec = off }",
         "1: policy.dane: \"required\" delivers nothing while"},
        {"domain \"a.example\" { dane = required }\n"
         "resolver { dnssec = off }",
         "1: domain.a.example.dane: \"required\" delivers nothing while"},
        {"policy { dane = required }\ndomain \"a.example\" { dane = on }",
         "2: domain.a.example: is weaker than the policy block"},
        {"policy { dane_insecure_mx = dane }\n"
         "domain \"a.example\" { dane_insecure_mx = off }",
         "2: domain.a.example: is weaker than the policy block"},
        {"domain \"a.example\" { requiretls = opportunistic }",
         "1: domain.a.example: is weaker than the policy block"},
        {"policy { requiretls = never }",
         "1: policy.requiretls: \"never\" is none of opportunistic, enforce"},
        {"domain \"a.example\" { mx_ca = \"/etc/passwd\" }",
         "1: domain.a.example.mx_ca: trust anchors are of no use unless"},
        {"route \"r\" { to = {\"*\"} via = {\"h.example\"} tls = required\n"
         "ca = \"/etc/passwd\" }",
         "2: route.r.ca: trust anchors are of no use unless"},
        {"policy { mx_ca = \"/nonexistent\" }",
         "1: policy.mx_ca: /nonexistent: No such file or directory"},
        {"policy { mx_ca = \"/tmp\" }",
         "1: policy.mx_ca: /tmp is not a regular file"},
        {"mode = redirect", "1: mode: redirect needs redirect_to"},
        {"redirect_to = nobody", "1: redirect_to: "},
        {"user = \"no-such-user-here\"", "1: user: there is no such user"},
        {"state_directory = \"here\"",
         "1: state_directory: is not an absolute path"},
        {"access { networks = {\"0.0.0.0/0\"} }",
         "1: access.networks: 0.0.0.0/0 would let the whole Internet relay"},
        {"access { networks = {\"10.0.0.0/8\", \"::/0\"} }",
         "1: access.networks: ::/0 would let the whole Internet relay"},
        {"access { networks = {\"10.0.0.1/8\"} }",
         "1: access.networks: \"10.0.0.1/8\": "},
        {"access { sender_domains = {\"not..ok\"} }",
         "1: access.sender_domains: \"not..ok\": "},
        {"listener \"x\" { address = \"127.0.0.1:25\" proxy_from = {a} }",
         "1: listener.x.proxy_from: \"a\": "},
        {"listener \"x\" { address = \"127.0.0.1:25\" proxy_from = "
         "{\"0.0.0.0/0\"} }",
         "1: listener.x.proxy_from: 0.0.0.0/0 would let anybody pass for"},
        {"listener \"x\" { }", "1: listener.x.address: is missing"},
        {"listener \"x\" { address = \"unix:/x\" socket_mode = 9 }",
         "1: listener.x.socket_mode: \"9\" is not a mode like 0660"},
        {"listener \"x\" { address = \"unix:/x\" socket_mode = 01777 }",
         "1: listener.x.socket_mode: 01777 is not from 0000 to 0777"},
        {"listener \"x\" { address = \"unix:/x\" message_size_max = 5 }",
         "1: listener.x.message_size_max: "},
        {"listener \"x\" { address = \"*:25\" }", "1: listener.x.address: "},
        {"listener \"x\" { address = \"127.0.0.1:0\" }",
         "1: listener.x.address: "},
        {"listener \"x\" { address = \"unix:rel\" }",
         "1: listener.x.address: is not an absolute path"},
        {"listener \"x y\" { address = \"127.0.0.1:25\" }",
         "1: listener.x y: a name has from 1 to 64"},
        {"listener \"x\" { address = \"127.0.0.1:25\" client_certificate = "
         "required }",
         "1: listener.x.client_certificate: needs tls.client_ca"},
        {"listener \"x\" { address = \"127.0.0.1:25\" tls_min_version = 1.1 }",
         "1: listener.x.tls_min_version: below 1.2 needs the networks"},
        {"listener \"x\" { address = \"127.0.0.1:25\" tls_min_version = 0.9 "
         "}",
         "1: listener.x.tls_min_version: is none of"},
        {"listener \"x\" { address = \"systemd:\" }",
         "1: listener.x.address: a socket's name has from 1 to 255"},
        {"http { address = \"systemd:x\" }", "1: http.address: "},
        {"sni \"x\" { }", "1: sni.x.certificate: is missing"},
        {"sni \"x y\" { }", "1: sni.x y: a name has from 1 to 64"},
        {"tls { client_ca = \"/nowhere\" }", "1: tls.client_ca: /nowhere: "},
        {"listener \"x\" { address = \"127.0.0.1:25\" tls = starttls }",
         "1: listener.x.tls: needs tls.certificate"},
        {"listener \"x\" { address = \"127.0.0.1:25\" }\n"
         "listener \"y\" { address = \"127.0.0.1:25\" }",
         "2: listener.y.address: another listener has this address"},
        {"listener \"x\" { address = \"127.0.0.1:25\" }\n"
         "listener \"x\" { address = \"127.0.0.1:26\" }",
         "2: found duplicate title 'x'"},
        {"workers = 1\nworkers = 2", "2: workers: already set in line 1"},
        {"policy { sts = on }\npolicy { sts = off }",
         "2: policy.sts: already set in line 1"},
        {"domain \"lab.example\" { sts = false }",
         "1: domain.lab.example: is weaker than the policy block"},
        {"domain \"lab.example\" { sts = false reason = \"x\" }",
         "1: domain.lab.example: is weaker than the policy block"},
        {"domain \"a.example\" { until = \"2027-01-31\" }",
         "1: domain.a.example.until: is for exemptions only"},
        {"domain \"a.example\" { until = \"2027-02-29\" }",
         "1: domain.a.example.until: 2027-02-29: that month has 28 days"},
        {"domain \"a.example\" { until = \"soon\" }",
         "1: domain.a.example.until: \"soon\" is not a date"},
        {"domain \"a.example\" { }\ndomain \"A.example.\" { }",
         "2: domain.A.example.: another block speaks of this domain"},
        {"domain \"localhost\" { }", "1: domain.localhost: "},
        {"route \"r\" { via = {\"h.example\"} }", "1: route.r.to: is missing"},
        {"route \"r\" { to = {\"*\"} }", "1: route.r.via: is missing"},
        {"route \"r\" { to = {\"two words\"} via = {\"h.example\"} }",
         "1: route.r.to: \"two words\": "},
        {"route \"r\" { to = {\"*\"} via = {\"h.example:0\"} }",
         "1: route.r.via: \"h.example:0\": a port is from 1 to 65535"},
        {"route \"r\" { to = {\"*\"} via = {\"127.0.0.1:25\"} }",
         "1: route.r.via: a certificate can't be verified against"},
        {"route \"r\" { to = {\"*\"} via = {\"h.example\", \"mx:b.example\"} }",
         "1: route.r.via: mx: stands alone in this version"},
        {"route \"r\" { to = {\"*\"} via = {\"h.example:465\"} tls = none }",
         "1: route.r.tls: \"none\" does not go with port 465"},
        {"http { address = \"0.0.0.0:8025\" }",
         "1: http.address: wider than loopback needs http.token_file"},
        {"domain \"p.example\" { fingerprint = {\"sha256:00\"} }",
         "1: domain.p.example.fingerprint: \"sha256:00\": is not 64"},
        {"domain \"p.example\" { fingerprint = {\"md5:00\"} }",
         "1: domain.p.example.fingerprint: \"md5:00\": begins with neither"},
        {"control { socket = \"sock\" }",
         "1: control.socket: is not an absolute path"},
        {"tls { min_version = \"1.0\" }",
         "1: tls.min_version: is neither 1.2 nor 1.3"},
        {"workers 3", "1: missing equal sign after option 'workers'"},
        {"policy = 3", "1: missing opening brace for section 'policy'"},
        {"policy { sts = on", "1: section 'policy' is not closed"},
        {"policy { sts = ", "2: unexpected token '='"},
        {"mode = \"live", "3: premature end of file"},
        {"mode = 'live", "3: unterminated string constant"},
        {"mode = live /* or sink", " a comment is not closed"},
        {"}", "1: unexpected closing brace"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        expect_error(rows[i].text, rows[i].want);
}

static void
senders_to_be_rewritten_are_read_and_checked(void **state)
{
    scoped(done) struct fixture f = {0}, bad = {0};
    char map[64];
    scoped(own_free) char *text = NULL, *want = NULL;

    (void)state;
    write_file(map, "root@app.lan ops@example.com\n");
    text = mem_printf("rewrite { sender_map = \"%s\""
                      " from_domain = \"B\xc3\xbc"
                      "cher.example\" }\n",
                      map);
    assert_true(load(&f, text));
    assert_non_null(f.c->rewrite.senders);
    assert_string_equal(f.c->rewrite.from_domain, "xn--bcher-kva.example");
    (void)truncate(map, 12);
    assert_false(load(&bad, text));
    want = mem_printf("1: rewrite.sender_map: %s:1: what it becomes is missing",
                      map);
    assert_true(says(&bad, want));
    (void)unlink(map);
    expect_error("rewrite { from_domain = \"no domain\" }",
                 "1: rewrite.from_domain: ");
    expect_error("rewrite { sender_map = \"/nowhere/map\" }",
                 "1: rewrite.sender_map: ");
}

static void
what_is_not_built_yet_is_refused_unless_it_is_off(void **state)
{
    static const struct {
        const char *text, *key;
    } rows[] = {
        {"resolver { dnssec = perhaps }",
         "1: resolver.dnssec: \"perhaps\" is none of off, trust, validate, "
         "auto"},
    };
    scoped(done) struct fixture f = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        expect_error(rows[i].text, rows[i].key);
    assert_true(load(&f,
                     "listener \"x\" { address = \"127.0.0.1:25\" auth = off "
                     "proxy_from = {} }\n"
                     "users { file = \"\" } tls { client_ca = \"\" }\n"
                     "policy { dane = true } resolver { dnssec = auto }\n"
                     "tlsrpt { enabled = true }\n"
                     "rewrite { strip_received = false }\n"));
}

/* Whoever asks for logins gets a relay where somebody can log in, or none. */
static void
auth_needs_users_and_a_way_that_nobody_listens_in_on(void **state)
{
    scoped(own_free) char *text = NULL, *want = NULL;
    scoped(done) struct fixture f = {0};
    char users[64];

    (void)state;
    expect_error("listener \"x\" { address = \"127.0.0.1:25\" auth = perhaps }",
                 "1: listener.x.auth: \"perhaps\" is none of off, optional, "
                 "required");
    expect_error(
        "listener \"x\" { address = \"127.0.0.1:25\" auth = optional }",
        "1: listener.x.auth: needs users.file");
    expect_error("users { file = \"/tmp/no such file\" }", "1: users.file: ");
    write_file(users, "app:!\nbroken\n");
    text = mem_printf("users { file = \"%s\" }\n"
                      "listener \"x\" { address = \"127.0.0.1:25\" "
                      "auth = required }",
                      users);
    assert_false(load(&f, text));
    want = mem_printf("%s:2: there is no hash", users);
    assert_true(says(&f, want));
    assert_true(says(&f, "2: listener.x.auth: needs tls, as passwords"));
    (void)unlink(users);
}

static void
a_users_file_is_for_no_strangers_eyes(void **state)
{
    scoped(own_free) char *text = NULL;
    scoped(done) struct fixture f = {0}, g = {0};
    char users[64];

    (void)state;
    write_file(users, "app:!\n");
    text = mem_printf("users { file = \"%s\" } listener \"x\" { address = "
                      "\"unix:/tmp/x\" auth = required }",
                      users);
    assert_true(load(&f, text));
    assert_int_equal(f.c->listener[0].auth, POLICY_ACCESS_AUTH_REQUIRED);
    assert_string_equal(f.c->users.file, users);
    assert_int_equal(chmod(users, 0644), 0);
    assert_false(load(&g, text));
    assert_true(says(&g, "1: users.file: "));
    assert_true(says(&g, "is a secret, but everybody may read it"));
    (void)unlink(users);
}

static void
rates_of_a_listener_are_those_of_access_unless_it_says_otherwise(void **state)
{
    scoped(done) struct fixture f = {0};

    (void)state;
    assert_true(load(&f,
                     "access { rate = \"5/1h\" recipients_rate = \"9/1d\" }\n"
                     "listener \"a\" { address = \"127.0.0.1:25\" }\n"
                     "listener \"b\" { address = \"127.0.0.1:26\" "
                     "rate = \"7/1m\" }\n"));
    assert_int_equal(f.c->listener[0].rate.count, 5);
    assert_int_equal(f.c->listener[0].rcpt_rate.count, 9);
    assert_int_equal(f.c->listener[1].rate.count, 7);
    assert_int_equal(f.c->listener[1].rate.per_ms, 60000);
    assert_int_equal(f.c->listener[1].rcpt_rate.per_ms, 24 * 3600 * 1000);
}

static void
all_errors_are_told_at_once(void **state)
{
    scoped(done) struct fixture f = {0};

    (void)state;
    assert_false(load(&f, "hostnam = x\n"
                          "wurkers = 1\n"
                          "foo { a = 1 b { c = {1, 2} } }\n"
                          "bar \"t\" { d = 1 }\n"
                          "policy { tls = strong stss = on dine = off }\n"
                          "workers = 1000\n"
                          "retry { expire = 5 }\n"));
    assert_true(says(&f, ":1: hostnam: "));
    assert_true(says(&f, ":2: wurkers: "));
    assert_true(says(&f, ":3: foo: "));
    assert_true(says(&f, ":4: bar: "));
    assert_true(says(&f, ":5: policy.tls: "));
    assert_true(says(&f, ":5: policy.stss: "));
    assert_true(says(&f, ":5: policy.dine: "));
    assert_true(says(&f, ":6: workers: "));
    assert_true(says(&f, ":7: retry.expire: "));
    assert_int_equal(f.errs.count, 9);
}

static void
only_a_regular_file_of_text_is_read(void **state)
{
    static const struct {
        const char *file, *want;
    } rows[] = {
        {"/nonexistent.conf", "/nonexistent.conf: can't be opened"},
        {"/tmp", "/tmp: is not a regular file"},
        {"/dev/zero", "/dev/zero: is not a regular file"},
    };
    char fifo[] = "/tmp/sealpost-fifo-XXXXXX";

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        scoped(done) struct fixture f = {0};

        assert_false(config_load(rows[i].file, &f.c, &f.errs));
        assert_true(says(&f, rows[i].want));
    }
    {
        scoped(done) struct fixture f = {0};

        assert_non_null(mkdtemp(fifo));
        (void)snprintf(f.file, sizeof(f.file), "%s/fifo", fifo);
        assert_int_equal(mkfifo(f.file, 0600), 0);
        assert_false(config_load(f.file, &f.c, &f.errs));
        assert_true(says(&f, "is not a regular file"));
    }
    (void)rmdir(fifo);
}

static void
a_file_that_everybody_may_write_is_warned_of(void **state)
{
    scoped(done) struct fixture f = {0};

    (void)state;
    write_file(f.file, "");
    assert_int_equal(chmod(f.file, 0666), 0);
    assert_true(config_load(f.file, &f.c, &f.errs));
    assert_int_equal(f.errs.warning_count, 1);
    assert_non_null(strstr(f.errs.warning[0], "everybody may write it"));
}

static void
a_secret_that_everybody_may_read_is_refused(void **state)
{
    scoped(done) struct fixture f = {0};
    scoped(own_free) char *text = NULL;
    char token[64];

    (void)state;
    write_file(token, "0123456789abcdef-the-secret\n");
    text = mem_printf("http { address = \"0.0.0.0:8025\" token_file = \"%s\" }",
                      token);
    assert_int_equal(chmod(token, 0644), 0);
    expect_error(text, "1: http.token_file: ");
    assert_int_equal(chmod(token, 0600), 0);
    assert_true(load(&f, text));
    assert_string_equal(f.c->http.token, "0123456789abcdef-the-secret");
    (void)unlink(token);
}

static void
a_short_token_is_refused(void **state)
{
    scoped(own_free) char *text = NULL;
    char token[64];

    (void)state;
    write_file(token, "short\n");
    text = mem_printf("http { token_file = \"%s\" }", token);
    expect_error(text, "1: http.token_file: a token has 16 or more");
    (void)unlink(token);
}

static void
the_environment_wins_over_the_file(void **state)
{
    static const char *const set[][2] = {
        {"SEALPOST_WORKERS", "5"},
        {"SEALPOST_POLICY__TLS", "required"},
        {"SEALPOST_ACCESS__NETWORKS", "10.0.0.0/8, 192.0.2.1"},
        {"SEALPOST_ACCESS__RECIPIENT_DOMAINS", ""},
        {"SEALPOST_LISTENER__A__ADDRESS", "127.0.0.1:2777"},
        {"SEALPOST_LISTENER__NEW__ADDRESS", "127.0.0.1:2778"},
        {"SEALPOST_DOMAIN__BANK_EXAMPLE__TLS", "verified"},
        {"SEALPOST_DELIVERY__ALLOW_PRIVATE", "true"},
        {"SEALPOST_SERVICE_HOST", "10.0.0.1"},
        {"SEALPOST_SERVICE_PORT_SMTP", "25"},
        {"SEALPOST_PORT", "tcp://10.0.0.1:25"},
        {"SEALPOST_PORT_25_TCP_ADDR", "10.0.0.1"},
        {"SEALPOST_SMTP", "127.0.0.1:25"},
    };
    enum { COUNT = sizeof(set) / sizeof(*set) };
    scoped(done) struct fixture f = {0};

    (void)state;
    for (size_t i = 0; i < COUNT; i++)
        (void)setenv(set[i][0], set[i][1], 1);
    assert_true(load(&f, "workers = 2\npolicy { tls = opportunistic }\n"
                         "listener \"a\" { address = \"127.0.0.1:2601\" }\n"
                         "domain \"bank.example\" { }\n"
                         "access { recipient_domains = {\"x.example\"} }\n"));
    for (size_t i = 0; i < COUNT; i++)
        (void)unsetenv(set[i][0]);
    assert_int_equal(f.c->workers, 5);
    assert_int_equal(f.c->policy.level, POLICY_LEVEL_REQUIRED);
    assert_int_equal(f.c->access.networks.count, 2);
    assert_int_equal(f.c->access.recipient_domains.count, 0);
    assert_int_equal(f.c->listener_count, 2);
    assert_string_equal(f.c->listener[0].address, "127.0.0.1:2777");
    assert_string_equal(f.c->listener[1].name, "new");
    assert_int_equal(config_rule_for(f.c, "bank.example", 0).level,
                     POLICY_LEVEL_VERIFIED);
    assert_true(f.c->delivery.allow_private);
}

static void
a_value_comes_out_of_a_file(void **state)
{
    scoped(done) struct fixture f = {0};
    char value[64];

    (void)state;
    write_file(value, "one.example\ntwo.example\n");
    (void)setenv("SEALPOST_ACCESS__SENDER_DOMAINS_FILE", value, 1);
    assert_true(load(&f, ""));
    assert_int_equal(f.c->access.sender_domains.count, 2);
    (void)setenv("SEALPOST_ACCESS__SENDER_DOMAINS", "three.example", 1);
    config_free(&f.c);
    (void)unlink(f.file);
    assert_false(load(&f, ""));
    assert_true(says(&f, "environment: SEALPOST_ACCESS__SENDER_DOMAINS_FILE: "
                         "SEALPOST_ACCESS__SENDER_DOMAINS is set as well"));
    (void)unsetenv("SEALPOST_ACCESS__SENDER_DOMAINS");
    (void)unsetenv("SEALPOST_ACCESS__SENDER_DOMAINS_FILE");
    (void)unlink(value);
}

static void
credentials_are_looked_up(void **state)
{
    scoped(done) struct fixture f = {0};
    char directory[] = "/tmp/sealpost-credentials-XXXXXX";
    scoped(own_free) char *token = NULL;
    scoped(own_free) char *mode = NULL;
    FILE *out;

    (void)state;
    assert_non_null(mkdtemp(directory));
    token = mem_printf("%s/http.token", directory);
    mode = mem_printf("%s/mode", directory);
    out = fopen(token, "w");
    (void)fputs("0123456789abcdef0\n", out);
    (void)fclose(out);
    (void)chmod(token, 0400);
    out = fopen(mode, "w");
    (void)fputs("sink\n", out);
    (void)fclose(out);
    (void)setenv("CREDENTIALS_DIRECTORY", directory, 1);
    assert_true(load(&f, ""));
    (void)unsetenv("CREDENTIALS_DIRECTORY");
    assert_string_equal(f.c->http.token, "0123456789abcdef0");
    assert_int_equal(f.c->mode, CONFIG_MODE_SINK);
    (void)unlink(token);
    (void)unlink(mode);
    (void)rmdir(directory);
}

static void
the_variables_of_other_images_are_understood(void **state)
{
    scoped(done) struct fixture f = {0};
    const struct config_route *r;

    (void)state;
    (void)setenv("RELAYHOST", "[smtp.provider.example]:587", 1);
    (void)setenv("RELAYHOST_USERNAME", "", 1);
    (void)setenv("ALLOWED_SENDER_DOMAINS", "one.example two.example", 1);
    assert_true(load(&f, "route \"first\" { to = {\"@a.example\"} via = "
                         "{\"h.example\"} }"));
    (void)unsetenv("RELAYHOST");
    (void)unsetenv("RELAYHOST_USERNAME");
    (void)unsetenv("ALLOWED_SENDER_DOMAINS");
    assert_int_equal(f.c->route_count, 2);
    assert_string_equal(f.c->route[0].name, "first");
    r = config_route_for(f.c, "x@y.example", "z@b.example");
    assert_string_equal(r->name, "relayhost");
    assert_string_equal(r->via[0].host, "smtp.provider.example");
    assert_int_equal(r->via[0].port, 587);
    assert_int_equal(r->level, POLICY_LEVEL_VERIFIED);
    assert_int_equal(f.c->access.sender_domains.count, 2);
}

static void
mistakes_in_the_environment_are_errors_too(void **state)
{
    (void)state;
    expect_env_error("SEALPOST_POLICY__TSL", "x",
                     "environment: SEALPOST_POLICY__TSL: no such key; did you "
                     "mean \"tls\"?");
    expect_env_error("SEALPOST_HOSTNAM", "x",
                     "environment: SEALPOST_HOSTNAM: no such key; did you mean "
                     "\"hostname\"?");
    expect_env_error("SEALPOST_USER", "a\nb",
                     "environment: SEALPOST_USER: holds a control character");
    expect_env_error("SEALPOST_REDIRECT_TO", "a\xff@b.example",
                     "environment: SEALPOST_REDIRECT_TO: holds a control");
    expect_env_error("SEALPOST_NOWHERE__TLS", "x",
                     "environment: SEALPOST_NOWHERE__TLS: no such section");
    expect_env_error("SEALPOST_POLICY__TLS", "strong",
                     "environment: SEALPOST_POLICY__TLS: \"strong\" is none");
    expect_env_error("SEALPOST_DOMAIN__A_EXAMPLE__TLS", "verified",
                     "the file has no such domain block");
    expect_env_error("SEALPOST_DKIM__A_EXAMPLE__KEY", "/x.pem",
                     "the file has no such dkim block");
    expect_env_error("SEALPOST_POLICY__TLS_FILE", "/nonexistent",
                     "environment: SEALPOST_POLICY__TLS_FILE: /nonexistent");
    expect_env_error("RELAYHOST_PASSWORD", "hunter2",
                     "environment: RELAYHOST_PASSWORD: means nothing without "
                     "RELAYHOST");
    expect_env_error("SEALPOST_ROUTE__R__PASSWORD_FILE", "/nowhere",
                     "SEALPOST_ROUTE__R__PASSWORD_FILE: /nowhere: No such");
}

static void
a_host_name_is_needed(void **state)
{
    scoped(done) struct fixture f = {0};

    (void)state;
    (void)setenv("SEALPOST_HOSTNAME", "a b", 1);
    assert_false(load(&f, ""));
    (void)setenv("SEALPOST_HOSTNAME", "Relay.Example.COM.", 1);
    done(&f);
    assert_true(load(&f, ""));
    assert_string_equal(f.c->hostname, "relay.example.com");
    config_free(&f.c);
    (void)unlink(f.file);
    (void)unsetenv("SEALPOST_HOSTNAME");
    assert_true(load(&f, ""));
    assert_true(f.c->hostname[0] != '\0');
    (void)setenv("SEALPOST_HOSTNAME", "relay.example.com", 1);
}

static void
trust_in_a_resolver_elsewhere_is_warned_of(void **state)
{
    static const struct {
        const char *text;
        size_t warnings;
    } rows[] = {
        {"resolver { servers = {\"192.0.2.1\"} dnssec = trust }", 1},
        {"resolver { servers = {\"127.0.0.9\", \"[::1]:53\"} dnssec = trust }",
         0},
        {"resolver { servers = {\"192.0.2.1\"} dnssec = auto }", 0},
        {"resolver { servers = {\"192.0.2.1\"} dnssec = validate }", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        scoped(done) struct fixture f = {0};

        assert_true(load(&f, rows[i].text));
        assert_int_equal(f.errs.warning_count, rows[i].warnings);
        if (rows[i].warnings > 0)
            assert_non_null(
                strstr(f.errs.warning[0], "192.0.2.1 is not on this machine"));
    }
}

static void
a_bare_host_name_is_warned_of(void **state)
{
    scoped(done) struct fixture f = {0};

    (void)state;
    (void)setenv("SEALPOST_HOSTNAME", "relay", 1);
    assert_true(load(&f, ""));
    (void)setenv("SEALPOST_HOSTNAME", "relay.example.com", 1);
    assert_string_equal(f.c->hostname, "relay");
    assert_int_equal(f.errs.warning_count, 1);
    assert_non_null(strstr(f.errs.warning[0], "\"relay\" has no dot"));
}

static void
secrets_are_not_repeated(void **state)
{
    scoped(done) struct fixture f = {0};

    (void)state;
    (void)setenv("RELAYHOST_PASSWORD", "hunter2-hunter2", 1);
    assert_false(load(&f, "route \"r\" { password = \"hunter2-hunter2\" }\n"
                          "passwd = \"hunter2-hunter2\""));
    (void)unsetenv("RELAYHOST_PASSWORD");
    assert_false(says(&f, "hunter2"));
}

static char *
printed(const struct config *c, bool json)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    config_print(c, json, out);
    (void)fclose(out);
    return text;
}

static void
origins_are_printed(void **state)
{
    scoped(done) struct fixture f = {0};
    scoped(own_free) char *text = NULL;
    scoped(own_free) char *json = NULL;
    scoped(own_free) char *line = NULL;

    (void)state;
    (void)setenv("SEALPOST_MODE", "sink", 1);
    assert_true(load(&f, "\nworkers = 2\naccess { sender_domains =\n{} }\n"));
    (void)unsetenv("SEALPOST_MODE");
    text = printed(f.c, false);
    json = printed(f.c, true);
    line = mem_printf("workers = 2  # %s:2\n", f.file);
    assert_non_null(strstr(text, line));
    assert_non_null(strstr(text, "mode = \"sink\"  # environment\n"));
    assert_non_null(strstr(text, "    port = 25  # default\n"));
    assert_non_null(strstr(json, "\"mode\": {\"value\": \"sink\", \"origin\": "
                                 "\"environment\"}"));
    assert_non_null(strstr(json, "\"delivery.ipv6\": {\"value\": true, "
                                 "\"origin\": \"default\"}"));
}

/* Without the comments, which name the file. */
static char *
values_of(const struct config *c)
{
    char *text = printed(c, false);

    for (char *p = text; (p = strstr(p, "  # "));)
        while (*p != '\n')
            *p++ = ' ';
    return text;
}

static void
what_is_printed_reads_the_same(void **state)
{
    scoped(done) struct fixture f = {0};
    scoped(done) struct fixture again = {0};
    scoped(own_free) char *text = NULL;
    scoped(own_free) char *first = NULL;
    scoped(own_free) char *second = NULL;

    (void)state;
    assert_true(load(&f, whole));
    text = printed(f.c, false);
    if (!load(&again, text))
        fail_msg("%s", again.errs.text[0]);
    first = values_of(f.c);
    second = values_of(again.c);
    for (char *p = first, *q = second; *p != '\0' || *q != '\0'; p++, q++) {
        p += strspn(p, " "), q += strspn(q, " ");
        assert_int_equal(*p, *q);
        if (*p == '\0')
            break;
    }
}

static void
a_text_cut_anywhere_is_read_or_refused(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof(whole); len += 3) {
        scoped(done) struct fixture f = {0};
        scoped(own_free) char *part = mem_copy((struct slice){whole, len});

        if (!load(&f, part))
            assert_true(f.errs.count > 0);
    }
}

static int
setup(void **state)
{
    (void)state;
    (void)setenv("SEALPOST_HOSTNAME", "relay.example.com", 1);
    (void)setenv("STATE_DIRECTORY", "/tmp/sealpost-state:/other", 1);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults_are_those_of_the_manual),
        cmocka_unit_test(no_file_at_all_will_do),
        cmocka_unit_test(every_kind_of_value_is_read),
        cmocka_unit_test(a_domain_rule_ends_with_its_exemption),
        cmocka_unit_test(what_an_exemption_strengthens_outlives_it),
        cmocka_unit_test(the_first_route_that_matches_wins),
        cmocka_unit_test(without_a_route_mail_goes_by_mx),
        cmocka_unit_test(what_is_wrong_is_said_with_file_line_and_key),
        cmocka_unit_test(senders_to_be_rewritten_are_read_and_checked),
        cmocka_unit_test(what_is_not_built_yet_is_refused_unless_it_is_off),
        cmocka_unit_test(auth_needs_users_and_a_way_that_nobody_listens_in_on),
        cmocka_unit_test(a_users_file_is_for_no_strangers_eyes),
        cmocka_unit_test(
            rates_of_a_listener_are_those_of_access_unless_it_says_otherwise),
        cmocka_unit_test(all_errors_are_told_at_once),
        cmocka_unit_test(only_a_regular_file_of_text_is_read),
        cmocka_unit_test(a_file_that_everybody_may_write_is_warned_of),
        cmocka_unit_test(a_secret_that_everybody_may_read_is_refused),
        cmocka_unit_test(a_short_token_is_refused),
        cmocka_unit_test(the_environment_wins_over_the_file),
        cmocka_unit_test(a_value_comes_out_of_a_file),
        cmocka_unit_test(credentials_are_looked_up),
        cmocka_unit_test(the_variables_of_other_images_are_understood),
        cmocka_unit_test(mistakes_in_the_environment_are_errors_too),
        cmocka_unit_test(a_host_name_is_needed),
        cmocka_unit_test(trust_in_a_resolver_elsewhere_is_warned_of),
        cmocka_unit_test(a_bare_host_name_is_warned_of),
        cmocka_unit_test(secrets_are_not_repeated),
        cmocka_unit_test(origins_are_printed),
        cmocka_unit_test(what_is_printed_reads_the_same),
        cmocka_unit_test(a_text_cut_anywhere_is_read_or_refused),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
