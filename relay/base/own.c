#include "relay/base/own.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
own_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

void
own_free(void *place)
{
    void *p;
    void *nothing = NULL;

    memcpy(&p, place, sizeof(p));
    free(p);
    memcpy(place, &nothing, sizeof(nothing));
}
