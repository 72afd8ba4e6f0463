
/*
 * The replay cache: one for all workers, in shared memory, under the slab
 * mutex of its zone, the only lock that the master releases for a worker
 * that was killed.  The library writes in an order that leaves every slot
 * free or whole wherever it is cut.
 */


#include "ngx_http_imagxp.h"


static ngx_shm_zone_t *ngx_http_imagxp_add_zone(ngx_conf_t *cf,
    ngx_str_t *name, size_t size);
static ngx_int_t ngx_http_imagxp_init_zone(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_int_t ngx_http_imagxp_new_replay(ngx_http_imagxp_shared_t *shared);
static ngx_int_t ngx_http_imagxp_zone_window(ngx_cycle_t *cycle,
    ngx_shm_zone_t *shm_zone);
static ngx_shm_zone_t *ngx_http_imagxp_find_zone(ngx_cycle_t *cycle,
    ngx_str_t *name);


char *
ngx_http_imagxp_set_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_imagxp_loc_conf_t  *ilcf = conf;

    ssize_t      size;
    ngx_str_t   *value, name, s;
    ngx_uint_t   i;

    if (ilcf->zone != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;
    size = 0;
    ngx_str_null(&name);

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "name=", 5) == 0) {
            name.data = value[i].data + 5;
            name.len = value[i].len - 5;
            continue;
        }

        if (ngx_strncmp(value[i].data, "size=", 5) == 0) {
            s.data = value[i].data + 5;
            s.len = value[i].len - 5;
            size = ngx_parse_size(&s);

            if (size == NGX_ERROR || size < (ssize_t) (8 * ngx_pagesize)) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "invalid zone size \"%V\": "
                                   "at least %uz, and 28 bytes for each "
                                   "request of six minutes",
                                   &value[i], 8 * ngx_pagesize);
                return NGX_CONF_ERROR;
            }

            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\"", &value[i]);
        return NGX_CONF_ERROR;
    }

    if (name.len == 0) {
        return "needs \"name=\"";
    }

    ilcf->zone = ngx_http_imagxp_add_zone(cf, &name, size);

    return ilcf->zone == NULL ? NGX_CONF_ERROR : NGX_CONF_OK;
}


static ngx_shm_zone_t *
ngx_http_imagxp_add_zone(ngx_conf_t *cf, ngx_str_t *name, size_t size)
{
    ngx_shm_zone_t          *shm_zone;
    ngx_http_imagxp_zone_t  *zone;

    shm_zone = ngx_shared_memory_add(cf, name, size, &ngx_http_imagxp_module);
    if (shm_zone == NULL || shm_zone->data != NULL) {
        return shm_zone;
    }

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_imagxp_zone_t));
    if (zone == NULL) {
        return NULL;
    }

    shm_zone->init = ngx_http_imagxp_init_zone;
    shm_zone->data = zone;

    return shm_zone;
}


static ngx_int_t
ngx_http_imagxp_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_imagxp_zone_t  *ozone = data;

    size_t                     n;
    ngx_http_imagxp_zone_t    *zone;
    ngx_http_imagxp_shared_t  *shared;

    zone = shm_zone->data;

    if (ozone) {
        zone->shared = ozone->shared;
        zone->shpool = ozone->shpool;
        return NGX_OK;
    }

    zone->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (shm_zone->shm.exists) {
        zone->shared = zone->shpool->data;
        return NGX_OK;
    }

    shared = ngx_slab_calloc(zone->shpool, sizeof(ngx_http_imagxp_shared_t));
    if (shared == NULL) {
        return NGX_ERROR;
    }

    /* all that is left, in one piece */

    n = zone->shpool->pfree * ngx_pagesize;

    shared->words = ngx_slab_alloc(zone->shpool, n);
    if (shared->words == NULL) {
        return NGX_ERROR;
    }

    shared->len = n / sizeof(uint64_t);
    shared->window = zone->window;

    zone->shared = shared;
    zone->shpool->data = shared;
    zone->shpool->log_nomem = 0;

    if (ngx_http_imagxp_new_replay(shared) != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "could not make the replay cache of imagxp_zone \"%V\"",
                      &shm_zone->shm.name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * What was signed before this moment may have been admitted by a cache that
 * is no more: it is refused with RESTART_GUARD.
 */

static ngx_int_t
ngx_http_imagxp_new_replay(ngx_http_imagxp_shared_t *shared)
{
    u_char               seed[32];
    imagxp_replay_cache  replay;

    if (ngx_http_imagxp_random(seed, sizeof(seed)) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_time_update();

    replay.words = shared->words;
    replay.len = shared->len;

    if (imagxp_replay_cache_new(&replay, seed, ngx_http_imagxp_now())
        != IMAGXP_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * The new configuration holds.  Where a zone changed its size the workers of
 * the old one admit nothing more, and the new one begins after that: else a
 * request could pass once in each.
 */

ngx_int_t
ngx_http_imagxp_zones_commit(ngx_cycle_t *cycle)
{
    ngx_uint_t               i;
    ngx_list_part_t         *part;
    ngx_shm_zone_t          *shm_zone, *found;
    ngx_http_imagxp_zone_t  *zone, *now;

    if (cycle->old_cycle == NULL) {
        return NGX_OK;
    }

    for (part = &cycle->old_cycle->shared_memory.part;
         part;
         part = part->next)
    {
        shm_zone = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (shm_zone[i].tag != &ngx_http_imagxp_module
                || shm_zone[i].shm.addr == NULL)
            {
                continue;
            }

            found = ngx_http_imagxp_find_zone(cycle, &shm_zone[i].shm.name);

            if (found && found->shm.addr == shm_zone[i].shm.addr) {

                if (ngx_http_imagxp_zone_window(cycle, found) != NGX_OK) {
                    return NGX_ERROR;
                }

                continue;
            }

            zone = shm_zone[i].data;

            ngx_shmtx_lock(&zone->shpool->mutex);
            zone->shared->superseded = 1;
            ngx_shmtx_unlock(&zone->shpool->mutex);

            if (found == NULL) {
                continue;
            }

            ngx_log_error(NGX_LOG_NOTICE, cycle->log, 0,
                          "imagxp_zone \"%V\" has another size: requests that "
                          "were signed before now are refused once",
                          &found->shm.name);

            now = found->data;

            if (ngx_http_imagxp_new_replay(now->shared) != NGX_OK) {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


/*
 * Nonces are kept for the window that they were admitted with.  Under a
 * longer one they could come back; and old workers would go on to admit for
 * the other window.
 */

static ngx_int_t
ngx_http_imagxp_zone_window(ngx_cycle_t *cycle, ngx_shm_zone_t *shm_zone)
{
    ngx_int_t                  rc;
    ngx_http_imagxp_zone_t    *zone;
    ngx_http_imagxp_shared_t  *shared;

    zone = shm_zone->data;
    shared = zone->shared;

    if (zone->window == 0 || zone->window == shared->window) {
        return NGX_OK;
    }

    rc = NGX_OK;

    ngx_shmtx_lock(&zone->shpool->mutex);

    if (zone->window > shared->window) {
        ngx_log_error(NGX_LOG_NOTICE, cycle->log, 0,
                      "imagxp_zone \"%V\" has a longer window: requests that "
                      "were signed before now are refused once",
                      &shm_zone->shm.name);

        rc = ngx_http_imagxp_new_replay(shared);
    }

    shared->window = zone->window;

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return rc;
}


static ngx_shm_zone_t *
ngx_http_imagxp_find_zone(ngx_cycle_t *cycle, ngx_str_t *name)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_shm_zone_t   *shm_zone;

    for (part = &cycle->shared_memory.part; part; part = part->next) {

        shm_zone = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (shm_zone[i].tag == &ngx_http_imagxp_module
                && shm_zone[i].shm.name.len == name->len
                && ngx_strncmp(shm_zone[i].shm.name.data, name->data,
                               name->len)
                   == 0)
            {
                return &shm_zone[i];
            }
        }
    }

    return NULL;
}


imagxp_status
ngx_http_imagxp_admit(ngx_http_imagxp_ctx_t *ctx, ngx_http_imagxp_zone_t *zone)
{
    imagxp_status        status;
    imagxp_replay_cache  replay;

    ngx_shmtx_lock(&zone->shpool->mutex);

    if (zone->shared->superseded || zone->shared->window != zone->window) {
        status = IMAGXP_RESTART_GUARD;

    } else {
        replay.words = zone->shared->words;
        replay.len = zone->shared->len;

        status = imagxp_request_admit(&ctx->verified,
                                      ngx_http_imagxp_worker.scratch, &replay,
                                      ngx_http_imagxp_now());

        if (status == IMAGXP_REPLAY_CACHE_FULL) {
            ctx->retry_after = imagxp_replay_cache_retry_after_s(&replay);
        }
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return status;
}
