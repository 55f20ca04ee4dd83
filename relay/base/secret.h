/*
 * relay/base/secret - keeps secrets out of what people read.
 *
 * A peer may echo what it was sent.  Whatever it says around a secret is
 * scrubbed before it becomes a log line, a reason or a row of the history.
 */
#ifndef RELAY_BASE_SECRET_H
#define RELAY_BASE_SECRET_H

#include "relay/base/buf.h"

enum {
    SECRET_PART = 8,        /* so many octets of a secret in a row are as bad as
                               all of it */
    SECRET_SCRUB_MAX = 512, /* octets of a text that are kept at all */
};

/* Appends `text`, or its first SECRET_SCRUB_MAX octets, with "***" for every
 * part of it that is one of the secrets or SECRET_PART octets of one. */
void secret_scrub(struct slice text, const struct slice *secrets, size_t count,
                  struct buf *out);

/* Overwrite what they hold before they free it; they leave an empty buf, a
 * NULL. */
void secret_buf_free(struct buf *b);
void secret_text_free(char **text);

#endif
