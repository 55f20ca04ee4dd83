/*
 * relay/mail/token - the words of a structured field (RFC 5322 section 3.2).
 *
 * White space, folds and comments between them are passed over.
 */
#ifndef RELAY_MAIL_TOKEN_H
#define RELAY_MAIL_TOKEN_H

#include "relay/base/slice.h"

enum mail_token_kind {
    MAIL_TOKEN_END,
    MAIL_TOKEN_WORD,    /* an atom; dots and octets above 127 count to it */
    MAIL_TOKEN_QUOTED,  /* with its quotes */
    MAIL_TOKEN_LITERAL, /* with its brackets */
    MAIL_TOKEN_MARK,    /* one of <>@,;:\)] */
    MAIL_TOKEN_BROKEN,  /* a quoted string, literal or comment without end */
};

struct mail_token {
    enum mail_token_kind kind;
    struct slice text;
};

/* Takes the next token off the front of `rest`. */
struct mail_token mail_token_next(struct slice *rest);

/* Passes over white space, folds and comments; false: a comment has no end. */
bool mail_token_skip(struct slice *rest);

bool mail_token_is_mark(const struct mail_token *t, char mark);

#endif
