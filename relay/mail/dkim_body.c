#include "relay/base/mem.h"
#include "relay/mail/dkim_inside.h"

#include <openssl/evp.h>
#include <stdlib.h>

enum { STAGE_SIZE = 4096 };

/* The relaxed form (RFC 6376 section 3.4.4) of what has come; white space and
 * line ends are held back until something stands behind them. */
struct mail_dkim_body {
    EVP_MD_CTX *hash;
    uint64_t line_ends; /* held back */
    bool has_space;     /* held back */
    bool has_cr;        /* the last octet was a CR */
    bool has_text;      /* something was put */
    size_t staged;
    unsigned char stage[STAGE_SIZE];
};

struct mail_dkim_body *
mail_dkim_body_new(void)
{
    struct mail_dkim_body *b = mem_new(struct mail_dkim_body);

    b->hash = EVP_MD_CTX_new();
    mail_dkim_need(b->hash &&
                   EVP_DigestInit_ex(b->hash, EVP_sha256(), NULL) == 1);
    return b;
}

static void
flush(struct mail_dkim_body *b)
{
    mail_dkim_need(EVP_DigestUpdate(b->hash, b->stage, b->staged) == 1);
    b->staged = 0;
}

static void
put(struct mail_dkim_body *b, char c)
{
    if (b->staged == STAGE_SIZE)
        flush(b);
    b->stage[b->staged++] = (unsigned char)c;
}

static void
put_text(struct mail_dkim_body *b, char c)
{
    for (; b->line_ends > 0; b->line_ends--) {
        put(b, '\r');
        put(b, '\n');
    }
    if (b->has_space)
        put(b, ' ');
    b->has_space = false;
    b->has_text = true;
    put(b, c);
}

static void
end_line(struct mail_dkim_body *b)
{
    b->has_space = false;
    b->line_ends++;
}

static void
look_at(struct mail_dkim_body *b, char c)
{
    bool had_cr = b->has_cr;

    b->has_cr = false;
    if (had_cr && c == '\n') {
        end_line(b);
        return;
    }
    if (had_cr)
        put_text(b, '\r'); /* a lone one is text */
    if (c == '\r')
        b->has_cr = true;
    else if (c == ' ' || c == '\t')
        b->has_space = true;
    else
        put_text(b, c);
}

void
mail_dkim_body_feed(struct mail_dkim_body *b, struct slice piece)
{
    for (size_t i = 0; i < piece.len; i++)
        look_at(b, piece.p[i]);
}

void
mail_dkim_body_end(struct mail_dkim_body *b, uint8_t hash[MAIL_DKIM_HASH_SIZE])
{
    if (b->has_cr)
        put_text(b, '\r');
    /* Of the line ends held back one belongs to the last line that has text;
     * where the message lacks it, it is put all the same. */
    if (b->has_text) {
        put(b, '\r');
        put(b, '\n');
    }
    flush(b);
    mail_dkim_need(EVP_DigestFinal_ex(b->hash, hash, NULL) == 1);
}

void
mail_dkim_body_free(struct mail_dkim_body **place)
{
    struct mail_dkim_body *b = take(place);

    if (!b)
        return;
    EVP_MD_CTX_free(b->hash);
    free(b);
}
