/*
 * relay/admin/page - the dashboard: one page with its style and its script,
 * as they stand in the binary.
 *
 * The same for everybody and without a secret: all it shows it asks the API
 * for, as any other client.
 */
#ifndef RELAY_ADMIN_PAGE_H
#define RELAY_ADMIN_PAGE_H

#include "relay/base/slice.h"

#include <stdbool.h>

/* A file of relay/admin/page/, made by page.cmake. */
struct admin_page_file {
    const char *path; /* "/page.js"; "/" is the page itself */
    const char *media_type;
    const char *etag; /* of the content, with its quotation marks */
    struct slice content;
};

enum { ADMIN_PAGE_FILES = 3 };
extern const struct admin_page_file admin_page_files[ADMIN_PAGE_FILES];
/* relay/admin/openapi.json, the same way. */
extern const struct admin_page_file admin_page_openapi[1];

/* Is this a path of the page, which wants no token? */
bool admin_page_is_path(const char *path);

#endif
