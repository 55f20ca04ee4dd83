#include "policy/tlsrpt_report.h"

#include "relay/base/base64.h"
#include "relay/base/mem.h"
#include "relay/mail/date.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <zlib.h>

enum {
    DAY_S = 24 * 60 * 60,
    GZIP_BITS = 15 + 16, /* zlib's way to ask for a gzip header */
    LINE_OCTETS = 57,    /* 76 characters of base64, RFC 2045 section 6.8 */
};

/* No line of base64 and no line of ours begins so. */
static const char boundary[] = "=_sealpost-tls-report";

char *
policy_tlsrpt_report_id(const struct policy_tlsrpt_report *r)
{
    char day[POLICY_TLSRPT_DAY_SIZE];

    return mem_printf("%s.%s@%s", policy_tlsrpt_day(r->day_ms, day), r->unique,
                      r->submitter);
}

char *
policy_tlsrpt_report_file(const struct policy_tlsrpt_report *r)
{
    int64_t begin = r->day_ms / 1000;

    return mem_printf("%s!%s!%" PRId64 "!%" PRId64 "!%s.json.gz", r->submitter,
                      r->domain, begin, begin + DAY_S - 1, r->unique);
}

/* --- the document ------------------------------------------------------ */

bool
policy_tlsrpt_report_json(const struct policy_tlsrpt_report *r, struct buf *out,
                          struct err *err)
{
    scoped(own_free) char *id = policy_tlsrpt_report_id(r);
    scoped(own_free) char *begin = NULL;
    scoped(own_free) char *end = NULL;
    scoped(own_free) char *dump = NULL;
    json_t *policies = json_loadb(r->count.p, r->count.len, 0, NULL);
    char day[POLICY_TLSRPT_DAY_SIZE];
    json_t *report;

    if (!json_is_array(policies)) {
        json_decref(policies);
        return err_set(err, ERR_INPUT, "no count of TLS sessions");
    }
    /* RFC 8460 section 4.1: a whole UTC day. */
    begin = mem_printf("%sT00:00:00Z", policy_tlsrpt_day(r->day_ms, day));
    end = mem_printf("%sT23:59:59Z", day);
    report = json_pack(
        "{s:s, s:{s:s, s:s}, s:s, s:s, s:o}", "organization-name",
        r->organization, "date-range", "start-datetime", begin, "end-datetime",
        end, "contact-info", r->contact, "report-id", id, "policies", policies);
    dump = report ? json_dumps(report, JSON_INDENT(2)) : NULL;
    json_decref(report);
    if (!dump)
        return err_set(err, ERR_INPUT, "the report is no UTF-8");
    buf_add_text(out, dump);
    buf_add_byte(out, '\n');
    return true;
}

void
policy_tlsrpt_report_pack(struct slice in, struct buf *out)
{
    z_stream z = {0};
    size_t room;

    if (deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP_BITS, 8,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        abort(); /* no memory */
    room = deflateBound(&z, in.len);
    z.next_in = (Bytef *)(uintptr_t)in.p;
    z.avail_in = (uInt)in.len;
    z.next_out = (Bytef *)buf_room(out, room);
    z.avail_out = (uInt)room;
    (void)deflate(&z, Z_FINISH);
    out->len += z.total_out;
    (void)deflateEnd(&z);
}

/* --- the mail ---------------------------------------------------------- */

static void
add_base64(struct slice in, struct buf *out)
{
    while (in.len > 0) {
        struct slice line = slice_first(in, LINE_OCTETS);

        in = slice_from(in, line.len);
        base64_add(line, out);
        buf_add_text(out, "\r\n");
    }
}

/* RFC 8460 section 5.3.  Folded where a domain may be long. */
static void
add_header(const struct policy_tlsrpt_report *r,
           const struct policy_tlsrpt_mail *m, const char *id, struct buf *out)
{
    char date[MAIL_DATE_SIZE];

    buf_printf(out, "Date: %s\r\n", mail_date_header(m->now_ms, date));
    buf_printf(out, "From: <%s>\r\n", m->from);
    buf_printf(out, "To: <%s>\r\n", m->to);
    buf_printf(out,
               "Subject: Report Domain: %s\r\n Submitter: %s\r\n"
               " Report-ID: <%s>\r\n",
               r->domain, r->submitter, id);
    buf_printf(out, "Message-ID: <%s>\r\n", m->message_id);
    buf_printf(out, "TLS-Report-Domain: %s\r\n", r->domain);
    buf_printf(out, "TLS-Report-Submitter: %s\r\n", r->submitter);
    /* A report has to arrive even where TLS is what is broken: RFC 8460
     * section 3, RFC 8689 section 5. */
    buf_add_text(out, "TLS-Required: No\r\n"
                      "Auto-Submitted: auto-generated\r\n"
                      "MIME-Version: 1.0\r\n");
    buf_printf(out,
               "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n"
               " boundary=\"%s\"\r\n\r\n",
               boundary);
}

static void
add_text(const struct policy_tlsrpt_report *r, const char *id, struct buf *out)
{
    char day[POLICY_TLSRPT_DAY_SIZE];
    struct policy_tlsrpt_sums sums;
    struct err err;

    buf_printf(out,
               "--%s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
               "This is a report about TLS on connections to the mail servers "
               "of\r\n%s (RFC 8460), from %s,\r\nfor %s (UTC).\r\n\r\n",
               boundary, r->domain, r->submitter,
               policy_tlsrpt_day(r->day_ms, day));
    if (policy_tlsrpt_sum(r->count, &sums, &err))
        buf_printf(out,
                   "Sessions that succeeded: %" PRIu64 "\r\n"
                   "Sessions that failed: %" PRIu64 "\r\n\r\n",
                   sums.succeeded, sums.failed);
    buf_printf(out, "Report-ID: <%s>\r\n\r\n", id);
}

void
policy_tlsrpt_report_mail(const struct policy_tlsrpt_report *r,
                          const struct policy_tlsrpt_mail *m,
                          struct slice packed, struct buf *out)
{
    scoped(own_free) char *id = policy_tlsrpt_report_id(r);
    scoped(own_free) char *file = policy_tlsrpt_report_file(r);

    add_header(r, m, id, out);
    add_text(r, id, out);
    buf_printf(out,
               "--%s\r\nContent-Type: application/tlsrpt+gzip\r\n"
               "Content-Transfer-Encoding: base64\r\n"
               "Content-Disposition: attachment;\r\n filename=\"%s\"\r\n\r\n",
               boundary, file);
    add_base64(packed, out);
    buf_printf(out, "\r\n--%s--\r\n", boundary);
}
