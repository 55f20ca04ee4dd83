/* POST /v1/reload and /v1/drain. */
#include "relay/admin/answer.h"
#include "relay/admin/routes.h"
#include "relay/daemon/serve.h"

#include <stdlib.h>

void
admin_reload(struct relay *relay, struct net_http_request *r, const char *name)
{
    struct buf why scoped(buf_free) = {0};
    json_t *errors = json_array();
    struct slice rest;

    (void)name;
    if (serve_reload(relay, &why)) {
        json_decref(errors);
        admin_answer_json(r, 200, json_pack("{s:s}", "result", "reloaded"));
        return;
    }
    rest = buf_slice(&why);
    while (rest.len > 0) {
        struct slice line = slice_cut(&rest, '\n');
        json_t *text = json_stringn(line.p, line.len);

        json_array_append_new(errors, text ? text : json_null());
    }
    admin_answer_json(r, 409,
                      json_pack("{s:s, s:o}", "error",
                                "the old configuration stays in force",
                                "errors", errors));
}

void
admin_drain(struct relay *relay, struct net_http_request *r, const char *name)
{
    (void)name;
    serve_close(relay);
    admin_answer_json(r, 200, json_pack("{s:s}", "result", "draining"));
}
