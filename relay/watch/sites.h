/*
 * relay/watch/sites - the large places that mail goes to, by name.
 *
 * A site is whoever runs an MX host: the end of its name, "example.co.uk" for
 * mx1.in.example.co.uk.  What is counted by site names few of them, so that no
 * recipient makes a page of numbers grow: the first ones met, then those that
 * get much; all others are "other".  A name that was given stays.
 *
 * Main thread.
 */
#ifndef RELAY_WATCH_SITES_H
#define RELAY_WATCH_SITES_H

#include "relay/base/slice.h"

enum {
    SITES_MAX = 20,         /* have a name, */
    SITES_FIRST = 10,       /* these at once, */
    SITES_EARN = 50,        /* the others behind so many recipients */
    SITES_CANDIDATES = 64,  /* that are looked at for that */
    SITES_KNOWN_MAX = 5000, /* destinations whose site is remembered */
    SITES_NAME_SIZE = 64,
};

/* What has no host, as its look-up failed; and what nobody has tried yet. */
#define SITES_NONE "none"
#define SITES_OTHER "other"

struct sites;

struct sites *sites_new(void);
void sites_free(struct sites **s);

/* Results of mail for `destination` came of `host` (NULL: there was none): the
 * name to count them under, borrowed for good. */
const char *sites_count(struct sites *s, const char *destination,
                        const char *host);

/* Where mail for a destination went the last time; SITES_NONE: nobody
 * knows. */
const char *sites_find(const struct sites *s, const char *destination);

/* The site of a host, cut to fit.  An address is "address". */
const char *sites_name(const char *host, char out[SITES_NAME_SIZE]);

#endif
