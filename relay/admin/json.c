#include "relay/admin/json.h"

/* As far as brackets and commas outside of strings tell. */
struct shape {
    unsigned depth; /* where it is deepest */
    size_t values;  /* about how many there are in all */
};

static struct shape
shape_of(struct slice text)
{
    struct shape s = {0};
    unsigned now = 0;
    bool in_string = false;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.p[i];
        bool opens = !in_string && (c == '{' || c == '[');

        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (opens)
            s.depth = ++now > s.depth ? now : s.depth;
        else if (!in_string && (c == '}' || c == ']') && now > 0)
            now--;
        s.values += opens || (!in_string && c == ',');
    }
    return s;
}

static bool
check_shape(struct slice text, struct err *err)
{
    struct shape s = shape_of(text);

    if (s.depth > ADMIN_JSON_DEPTH)
        return err_set(err, ERR_INPUT, "the body is deeper than %d levels",
                       ADMIN_JSON_DEPTH);
    return s.values <= ADMIN_JSON_VALUES ||
           err_set(err, ERR_INPUT, "the body has more than %d values",
                   ADMIN_JSON_VALUES);
}

json_t *
admin_json_read(struct slice text, struct err *err)
{
    json_error_t why;
    json_t *value;

    if (!check_shape(text, err))
        return NULL;
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
