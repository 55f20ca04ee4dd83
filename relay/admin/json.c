#include "relay/admin/json.h"

/* How deep it is where it is deepest, as far as brackets outside of strings
 * tell. */
static unsigned
depth(struct slice text)
{
    unsigned now = 0, most = 0;
    bool in_string = false;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.p[i];

        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '['))
            most = ++now > most ? now : most;
        else if (!in_string && (c == '}' || c == ']') && now > 0)
            now--;
    }
    return most;
}

json_t *
admin_json_read(struct slice text, struct err *err)
{
    json_error_t why;
    json_t *value;

    if (depth(text) > ADMIN_JSON_DEPTH) {
        err_set(err, ERR_INPUT, "the body is deeper than %d levels",
                ADMIN_JSON_DEPTH);
        return NULL;
    }
    value = json_loadb(text.len > 0 ? text.p : "", text.len,
                       JSON_REJECT_DUPLICATES, &why);
    if (!value)
        err_set(err, ERR_INPUT, "the body is no JSON: line %d, column %d: %s",
                why.line, why.column, why.text);
    if (json_is_object(value))
        return value;
    if (value)
        err_set(err, ERR_INPUT, "the body is no JSON object");
    json_decref(value);
    return NULL;
}
