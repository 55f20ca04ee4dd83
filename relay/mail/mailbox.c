#include "relay/mail/mailbox.h"

#include "relay/mail/token.h"

/* What may become an address. */
struct candidate {
    struct mail_mailbox *box;
    unsigned tokens, ats;
    bool is_none; /* a display name, too long, or no text */
};

static void
restart(struct candidate *c)
{
    c->tokens = c->ats = 0;
    c->is_none = false;
    c->box->len = 0;
}

/* Two words are one address only around a dot or an '@' (obs-local-part of RFC
 * 5322 section 4.4); else they are a name. */
static bool
belongs(const struct candidate *c, const struct mail_token *t)
{
    char before = c->box->len > 0 ? c->box->text[c->box->len - 1] : '@';

    return before == '@' || before == '.' || t->text.p[0] == '.' ||
           t->text.p[0] == '@';
}

static void
add(struct candidate *c, const struct mail_token *t)
{
    struct mail_mailbox *box = c->box;

    if (c->tokens++ == 0)
        box->span = t->text;
    if (mail_token_is_mark(t, '@'))
        c->ats++;
    if (c->is_none || !belongs(c, t) ||
        t->text.len > MAIL_ADDRESS_MAX - box->len ||
        memchr(t->text.p, '\0', t->text.len)) {
        c->is_none = true;
        return;
    }
    memcpy(box->text + box->len, t->text.p, t->text.len);
    box->len += t->text.len;
    box->span.len = (size_t)(t->text.p + t->text.len - box->span.p);
}

static bool
is_address(const struct candidate *c)
{
    struct mail_mailbox *box = c->box;

    box->text[box->len] = '\0';
    box->has_domain = c->ats == 1;
    return c->tokens > 0 && !c->is_none && c->ats <= 1 && box->text[0] != '@' &&
           box->text[box->len - 1] != '@';
}

static bool
is_separator(const struct mail_token *t)
{
    return mail_token_is_mark(t, ',') || mail_token_is_mark(t, ';');
}

/* True: the candidate is complete. */
static bool
take_outside(struct mail_mailbox_scan *s, struct candidate *c,
             const struct mail_token *t)
{
    if (mail_token_is_mark(t, '<')) {
        restart(c);
        s->in_angle = true;
    } else if (mail_token_is_mark(t, ':')) {
        restart(c); /* it was the name of a group */
    } else if (is_separator(t) || s->is_done) {
        if (c->tokens > 0)
            return true;
    } else {
        add(c, t);
    }
    return false;
}

static bool
take_inside(struct mail_mailbox_scan *s, struct candidate *c,
            const struct mail_token *t)
{
    if (mail_token_is_mark(t, '>')) {
        s->in_angle = false;
        return true;
    }
    if (mail_token_is_mark(t, ',') || mail_token_is_mark(t, ':'))
        restart(c); /* a source route */
    else if (s->is_done || mail_token_is_mark(t, '<'))
        s->is_broken = true;
    else
        add(c, t);
    return false;
}

bool
mail_mailbox_next(struct mail_mailbox_scan *s, struct mail_mailbox *out)
{
    struct candidate c = {.box = out};

    restart(&c);
    while (!s->is_done && !s->is_broken) {
        struct mail_token t = mail_token_next(&s->rest);

        s->is_done = t.kind == MAIL_TOKEN_END;
        s->is_broken = t.kind == MAIL_TOKEN_BROKEN;
        if (s->is_broken)
            break;
        if (!(s->in_angle ? take_inside(s, &c, &t) : take_outside(s, &c, &t)))
            continue;
        if (is_address(&c))
            return true;
        s->has_junk |= c.tokens > 0;
        restart(&c);
    }
    return false;
}
