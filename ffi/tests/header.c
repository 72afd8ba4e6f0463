/* The header alone, with every macro in use: compiled as each C there is, with every warning an error. */
#include "imagxp.h"

static uint64_t policy_words[IMAGXP_POLICY_WORDS];
static uint64_t key_words[IMAGXP_KEY_CACHE_WORDS(256, 2, 8, 8)];
static uint64_t replay_words[IMAGXP_REPLAY_CACHE_WORDS(1024)];

int header_is_usable(imagxp_buf scratch, imagxp_verified *verified);

int header_is_usable(imagxp_buf scratch, imagxp_verified *verified)
{
    imagxp_key_cache keys = IMAGXP_VIEW(key_words);
    imagxp_replay_cache replay = IMAGXP_VIEW(replay_words);
    const imagxp_policy *policy = IMAGXP_POLICY(policy_words);
    imagxp_str text = IMAGXP_STR("text");
    imagxp_visit visit;
    imagxp_status status;

    IMAGXP_INIT(&visit);
    visit.method = text;
    status = imagxp_request_verify(&visit, policy, &keys, 1, scratch, verified);
    if (status == IMAGXP_VERIFIED) {
        status = imagxp_request_admit(verified, scratch, &replay, 1);
    }
    text = IMAGXP_TEXT(scratch, verified->agent_id);
    return status == IMAGXP_OK && text.len > 0;
}
