#include "relay/net/http_format.h"

#include <time.h>

/* "Not Found" */
static const char *
reason_of(int status)
{
    static const struct {
        int status;
        const char *reason;
    } all[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i].status == status)
            return all[i].reason;
    return "Other";
}

/* RFC 9110 section 5.6.7, in words that no locale changes. */
static void
add_date(int64_t unix_s, struct buf *out)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t now = (time_t)unix_s;
    struct tm tm;

    if (!gmtime_r(&now, &tm))
        return;
    buf_printf(out, "Date: %.3s, %02d %.3s %04d %02d:%02d:%02d GMT\r\n",
               &days[3 * tm.tm_wday], tm.tm_mday, &months[3 * tm.tm_mon],
               tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static void
add_framing(const struct net_http_format *f, struct buf *out)
{
    /* RFC 9110 section 8.6: these have no body, and must not tell a length. */
    if (f->status == 204 || f->status == 304)
        return;
    if (f->media_type)
        buf_printf(out, "Content-Type: %s\r\n", f->media_type);
    switch (f->framing) {
    case NET_HTTP_LENGTH:
        buf_printf(out, "Content-Length: %zu\r\n", f->length);
        break;
    case NET_HTTP_CHUNKED:
        buf_add_text(out, "Transfer-Encoding: chunked\r\n");
        break;
    case NET_HTTP_CLOSE:
        break;
    }
}

void
net_http_format_head(const struct net_http_format *f, struct buf *out)
{
    buf_printf(out, "HTTP/1.1 %d %s\r\n", f->status, reason_of(f->status));
    add_date(f->unix_s, out);
    add_framing(f, out);
    buf_add_text(out, "X-Content-Type-Options: nosniff\r\n"
                      "Referrer-Policy: no-referrer\r\n");
    if (!f->has_cache_rule)
        buf_add_text(out, "Cache-Control: no-store\r\n");
    if (!f->has_policy)
        buf_add_text(out, "Content-Security-Policy: default-src 'none'; "
                          "frame-ancestors 'none'\r\n");
    buf_add(out, f->extra);
    if (!f->may_stay)
        buf_add_text(out, "Connection: close\r\n");
    buf_add_text(out, "\r\n");
}
