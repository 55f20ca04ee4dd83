#include "relay/daemon/deliver_inside.h"

/* The second time nothing is refused any more. */
static void
end_look(struct deliver *d)
{
    struct err why;

    d->is_looking = false;
    if (mail_downgrade_turn(d->convert, &why))
        return;
    d->is_unconvertible = true;
    mail_downgrade_free(&d->convert);
}

/* RFC 6152 section 3: octets above 127 go to nobody who has not offered
 * 8BITMIME. */
bool
deliver_look_first(struct deliver *d)
{
    const struct queue_message *m = deliver_job(d)->message;

    d->is_unconvertible = false;
    if (!m->has_8bit || smtp_client_capability(d->smtp)->eightbitmime)
        return false;
    d->convert = mail_downgrade_new();
    if (m->body.len > 0) {
        mail_downgrade_feed(d->convert, buf_slice(&m->body), NULL);
        end_look(d);
        return false;
    }
    d->is_looking = true;
    deliver_read_from_start(d);
    return true;
}

void
deliver_look_at(struct deliver *d, struct slice piece, bool is_last)
{
    mail_downgrade_feed(d->convert, piece, NULL);
    if (!is_last) {
        deliver_read_body(d);
        return;
    }
    end_look(d);
    deliver_say_mail(d);
    deliver_pump(d);
}

void
deliver_put_body(struct deliver *d, struct slice piece, bool is_last)
{
    struct buf converted scoped(buf_free) = {0};

    if (d->convert) {
        mail_downgrade_feed(d->convert, piece, &converted);
        if (is_last)
            mail_downgrade_end(d->convert, &converted);
        piece = buf_slice(&converted);
    }
    smtp_client_body(d->smtp, piece);
    if (is_last)
        smtp_client_body_end(d->smtp);
}
