/*
 * relay/mail/field - the fields of a header section, one after the other.
 *
 * Splits and points; what it gives lies in the section it was given.
 */
#ifndef RELAY_MAIL_FIELD_H
#define RELAY_MAIL_FIELD_H

#include "relay/base/slice.h"

struct mail_field {
    struct slice all;   /* folded lines and line ends included */
    struct slice name;  /* "" when it is no field but a line of another kind */
    struct slice value; /* all that is behind the colon */
};

/* Takes the next field off the front of `section`; false when it is empty. */
bool mail_field_next(struct slice *section, struct mail_field *out);

#endif
