/* The README's publisher, as it stands there: it compiles with what its text takes for granted. */
#include "imagxp.h"

imagxp_answer https_get(const imagxp_need *need, imagxp_buf scratch);
int32_t decide(imagxp_visit visit, const imagxp_policy *policy, imagxp_key_cache keys, imagxp_replay_cache replay,
               imagxp_buf scratch, int64_t now_ms);

int32_t decide(imagxp_visit visit, const imagxp_policy *policy, imagxp_key_cache keys, imagxp_replay_cache replay,
               imagxp_buf scratch, int64_t now_ms)
{
    imagxp_status status;
    imagxp_verified verified;

    IMAGXP_INIT(&verified);
#include "readme.inc"
    return 200;
}
