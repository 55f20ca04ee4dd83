#include "relay/base/mem.h"
#include "relay/config/raw.h"

#include <unistd.h>

char *
config_peek(const char *file, const char *section, const char *key)
{
    struct config_raw raw scoped(config_raw_done) = {0};
    struct config_errors errs scoped(config_errors_done) = {0};
    const struct config_block *block;
    const struct config_setting *s;

    if (!file && access(CONFIG_FILE_DEFAULT, F_OK) == 0)
        file = CONFIG_FILE_DEFAULT;
    if (file && !config_file_read(file, &raw, &errs))
        return NULL;
    config_env_read(environ, &raw, &errs);
    block = config_raw_find(&raw, section, "");
    s = block ? config_block_find(block, key) : NULL;
    return s && s->count > 0 ? mem_text(s->value[0]) : NULL;
}
