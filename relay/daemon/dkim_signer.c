#include "relay/daemon/dkim_signer.h"

#include "relay/base/mem.h"
#include "relay/net/timer.h"
#include "relay/net/work.h"

#include <assert.h>
#include <stdlib.h>

/* RFC 6376 section 5.4.1: what shows a reader whose mail it is and what it
 * says.  Trace fields are left out, as are all that others may change on the
 * way.  RFC 8058 section 4 wants the two about unsubscribing, RFC 8460 section
 * 3 those of reports about TLS. */
static const char *const names[] = {"From",
                                    "Sender",
                                    "Reply-To",
                                    "To",
                                    "Cc",
                                    "Subject",
                                    "Date",
                                    "Message-ID",
                                    "In-Reply-To",
                                    "References",
                                    "MIME-Version",
                                    "Content-Type",
                                    "Content-Transfer-Encoding",
                                    "Content-ID",
                                    "Content-Description",
                                    "Resent-Date",
                                    "Resent-From",
                                    "Resent-Sender",
                                    "Resent-To",
                                    "Resent-Cc",
                                    "Resent-Message-ID",
                                    "List-Id",
                                    "List-Help",
                                    "List-Unsubscribe",
                                    "List-Unsubscribe-Post",
                                    "List-Subscribe",
                                    "List-Post",
                                    "List-Owner",
                                    "List-Archive",
                                    "Auto-Submitted",
                                    "TLS-Required",
                                    "TLS-Report-Domain",
                                    "TLS-Report-Submitter"};

struct dkim_signer {
    struct dkim_shelf *shelf;
    struct mail_dkim_body *body;
    struct net_work *work;
    const char *domain; /* the work's */
    dkim_signer_fn *done;
    void *ctx;
};

struct signing {
    struct net_work_load load;
    struct dkim_set keys;
    struct buf header;
    uint8_t hash[MAIL_DKIM_HASH_SIZE];
    int64_t unix_s;
    struct buf fields;
    bool ok;
    struct err err;
};

struct dkim_signer *
dkim_signer_new(struct dkim_shelf *shelf)
{
    struct dkim_signer *s;

    if (dkim_shelf_is_empty(shelf))
        return NULL;
    s = mem_new(struct dkim_signer);
    s->shelf = shelf;
    s->body = mail_dkim_body_new();
    return s;
}

void
dkim_signer_free(struct dkim_signer **place)
{
    struct dkim_signer *s = take(place);

    if (!s)
        return;
    net_work_cancel(&s->work);
    mail_dkim_body_free(&s->body);
    free(s);
}

void
dkim_signer_body(struct dkim_signer *s, struct slice octets)
{
    mail_dkim_body_feed(s->body, octets);
}

/* --- on a thread of the pool ------------------------------------------- */

static void
sign(struct net_work_load *load)
{
    struct signing *x = own_container(load, struct signing, load);
    struct mail_dkim_request request = {
        .domain = x->keys.domain,
        .header = buf_slice(&x->header),
        .names = names,
        .name_count = sizeof(names) / sizeof(*names),
        .body_hash = x->hash,
        .unix_s = x->unix_s,
    };

    x->ok = true;
    for (size_t i = 0; x->ok && i < x->keys.count; i++) {
        request.selector = x->keys.row[i].selector;
        x->ok =
            mail_dkim_sign(x->keys.row[i].key, &request, &x->fields, &x->err);
    }
}

static void
drop(struct net_work_load *load)
{
    struct signing *x = own_container(load, struct signing, load);

    dkim_set_done(&x->keys);
    buf_free(&x->header);
    buf_free(&x->fields);
    free(x);
}

/* --- and at home ------------------------------------------------------- */

/* A message that nobody could sign is refused for good; what our own key does
 * is our own fault. */
static void
set_refusal(const struct err *err, struct mail_status *status)
{
    if (err->kind == ERR_SYSTEM)
        mail_status_set(status, 451, "4.7.5", "can't be signed now");
    else
        mail_status_set(status, 550, "5.6.0", "can't be signed by DKIM: %s",
                        err->text);
}

static void
signed_it(void *ctx, struct net_work_load *load)
{
    struct signing *x = own_container(load, struct signing, load);
    struct dkim_signer *s = ctx;
    struct slice fields = buf_slice(&x->fields);
    struct mail_status status = {0};

    if (x->ok) {
        s->done(s->ctx, &fields, NULL);
        return;
    }
    set_refusal(&x->err, &status);
    s->done(s->ctx, NULL, &status);
}

static bool
choose(struct dkim_signer *s, struct slice header, const char *sender,
       struct dkim_set *out)
{
    const char *at = strrchr(sender, '@');
    struct mail_domain domain;
    struct err err;

    if (mail_dkim_author(header, &domain) &&
        dkim_shelf_take(s->shelf, domain.text, out))
        return true;
    return at && mail_domain_parse(slice_of(at + 1), &domain, &err) &&
           dkim_shelf_take(s->shelf, domain.text, out);
}

static void
drop_used(struct slice header, struct dkim_set *keys)
{
    for (size_t i = keys->count; i-- > 0;)
        if (mail_dkim_is_signed(header, keys->domain, keys->row[i].selector))
            dkim_set_drop(keys, i);
}

bool
dkim_signer_start(struct dkim_signer *s, uv_loop_t *loop, struct slice header,
                  const char *sender, dkim_signer_fn *done, void *ctx)
{
    struct signing *x = mem_new(struct signing);

    assert(!s->work);
    x->load = (struct net_work_load){.run = sign, .drop = drop};
    if (choose(s, header, sender, &x->keys))
        drop_used(header, &x->keys);
    if (x->keys.count == 0) {
        drop(&x->load);
        return false;
    }
    buf_add(&x->header, header);
    mail_dkim_body_end(s->body, x->hash);
    x->unix_s = net_clock_wall() / 1000;
    s->domain = x->keys.domain;
    s->done = done;
    s->ctx = ctx;
    net_work_start(&s->work, loop, &x->load, signed_it, s);
    return true;
}

const char *
dkim_signer_domain(const struct dkim_signer *s)
{
    return s->domain;
}

bool
dkim_signer_start_whole(struct dkim_signer **slot, struct dkim_shelf *shelf,
                        uv_loop_t *loop, struct slice message,
                        const char *sender, dkim_signer_fn *done, void *ctx)
{
    const char *blank = memmem(message.p, message.len, "\r\n\r\n", 4);
    size_t len = blank ? (size_t)(blank - message.p) + 2 : message.len;

    *slot = dkim_signer_new(shelf);
    if (!*slot)
        return false;
    dkim_signer_body(*slot, slice_from(message, len + 2));
    if (dkim_signer_start(*slot, loop, slice_first(message, len), sender, done,
                          ctx))
        return true;
    dkim_signer_free(slot);
    return false;
}
