#include "relay/admin/bearer.h"

#include "relay/admin/answer.h"
#include "relay/base/addr.h"
#include "relay/daemon/login_desk.h"
#include "relay/guard/digest.h"
#include "relay/net/timer.h"

#include <stdio.h>
#include <strings.h>

/* All who bring the token are one. */
static const char nobody[] = "";

bool
admin_bearer_is_token(const char *field, const char *token)
{
    static const char scheme[] = "Bearer ";
    size_t skip = sizeof(scheme) - 1;

    return field && strncasecmp(field, scheme, skip) == 0 &&
           digest_same(slice_of(field + skip), slice_of(token));
}

/* One line for each that is looked at; those behind the limit are only
 * counted, so that they can't fill the log. */
static void
say_wrong(const struct relay *relay, const struct addr *peer, bool is_last)
{
    char ip[ADDR_TEXT_SIZE];
    struct log_line line;

    log_begin(&line, relay->log, LOG_LEVEL_INFO, "session.auth");
    log_text(&line, "client_ip", addr_text(peer, ip));
    log_text(&line, "listener", "http");
    log_text(&line, "mechanism", "bearer");
    log_bool(&line, "ok", false);
    log_text(&line, "reason",
             is_last ? "wrong token, and too many of them" : "wrong token");
    log_end(&line);
}

static void
count_wrong(const struct relay *relay)
{
    metrics_count(relay->metrics, METRICS_AUTH_FAILURES, "http");
}

/* RFC 6585 section 4. */
static void
refuse(struct net_http_request *r, unsigned wait_s)
{
    char text[16];

    (void)snprintf(text, sizeof(text), "%u", wait_s);
    net_http_add_header(r, "Retry-After", text);
    admin_answer_error(r, 429, "too many wrong tokens, try again later");
}

bool
admin_bearer(struct relay *relay, struct net_http_request *r, bool *is_good)
{
    const char *field = net_http_header(r, "Authorization");
    const struct addr *peer = net_http_peer(r);
    struct guesses *wrong = relay->login_desk->tokens;
    int64_t now_ms = net_clock_steady();
    unsigned wait_s;

    *is_good = false;
    if (!field || !relay->config->http.token[0])
        return true;
    wait_s = guesses_wait(wrong, peer, nobody, now_ms);
    if (wait_s > 0) {
        count_wrong(relay);
        refuse(r, wait_s);
        return false;
    }
    *is_good = admin_bearer_is_token(field, relay->config->http.token);
    if (*is_good) {
        guesses_passed(wrong, peer, nobody, now_ms);
        return true;
    }
    (void)guesses_failed(wrong, peer, nobody, now_ms);
    count_wrong(relay);
    say_wrong(relay, peer, guesses_wait(wrong, peer, nobody, now_ms) > 0);
    return true;
}
