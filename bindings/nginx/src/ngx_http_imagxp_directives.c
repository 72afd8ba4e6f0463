
/*
 * The directives that take more than one word, or a word that must be read.
 */


#include "ngx_http_imagxp.h"


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


/* imagxp_keys 4096 tables=128x64k; */

char *
ngx_http_imagxp_set_keys(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_imagxp_main_conf_t  *imcf = conf;

    u_char                  *p, *last;
    ssize_t                  size;
    ngx_int_t                n;
    ngx_str_t               *value, s;
    imagxp_key_cache_sizes  *keys;

    value = cf->args->elts;
    keys = &imcf->keys;

    if (keys->names) {
        return "is duplicate";
    }

    n = ngx_atoi(value[1].data, value[1].len);
    if (n < 8 || n > 1048576) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid number of names \"%V\": 8 to 1048576",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    keys->names = (uint32_t) n;
    keys->tables = 128;
    keys->table_kib = 64;

    if (cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value[2].data, "tables=", 7) != 0) {
        goto invalid;
    }

    p = value[2].data + 7;
    last = value[2].data + value[2].len;

    s.data = ngx_strlchr(p, last, 'x');
    if (s.data == NULL) {
        n = ngx_atoi(p, last - p);
        if (n != 0) {
            goto invalid;
        }

        keys->tables = 0;
        keys->table_kib = 0;
        return NGX_CONF_OK;
    }

    n = ngx_atoi(p, s.data - p);
    s.data++;
    s.len = last - s.data;
    size = ngx_parse_size(&s);

    if (n <= 0 || n > 65536 || size <= 0 || size % 1024) {
        goto invalid;
    }

    keys->tables = (uint32_t) n;
    keys->table_kib = (uint32_t) (size / 1024);

    if (imagxp_key_cache_words(*keys) == 0) {
        goto invalid;
    }

    return NGX_CONF_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\": \"tables=0\" or a number "
                       "and a size of 2k, 8k, 16k, 32k, 64k or 320k, "
                       "such as \"tables=128x64k\"", &value[2]);
    return NGX_CONF_ERROR;
}


/* a file, or the JSON itself */

char *
ngx_http_imagxp_set_policy(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_imagxp_loc_conf_t  *ilcf = conf;

    ngx_str_t  *value;

    value = cf->args->elts;

    if (ilcf->policy_text.data) {
        return "is duplicate";
    }

    if (value[1].len && value[1].data[0] == '{') {
        ilcf->policy_text = value[1];
        return NGX_CONF_OK;
    }

    if (ngx_http_imagxp_read_file(cf, &value[1], 65536, &ilcf->policy_text)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_imagxp_set_audience(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_imagxp_loc_conf_t  *ilcf = conf;

    u_char                    *p;
    size_t                     skip;
    ngx_str_t                 *value;
    ngx_uint_t                 i;
    ngx_http_imagxp_origin_t  *origin;

    if (ilcf->origins != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    ilcf->origins = ngx_array_create(cf->pool, 2,
                                     sizeof(ngx_http_imagxp_origin_t));
    if (ilcf->origins == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "https://", 8) == 0) {
            skip = 8;

        } else if (ngx_strncmp(value[i].data, "http://", 7) == 0) {
            skip = 7;

        } else {
            goto invalid;
        }

        if (value[i].len == skip) {
            goto invalid;
        }

        for (p = value[i].data + skip; *p; p++) {
            *p = ngx_tolower(*p);

            if (!(*p >= 'a' && *p <= 'z') && !(*p >= '0' && *p <= '9')
                && *p != '-' && *p != '.' && *p != ':' && *p != '['
                && *p != ']')
            {
                goto invalid;
            }
        }

        origin = ngx_array_push(ilcf->origins);
        if (origin == NULL) {
            return NGX_CONF_ERROR;
        }

        origin->scheme.data = value[i].data;
        origin->scheme.len = skip - 3;
        origin->authority.data = value[i].data + skip;
        origin->authority.len = value[i].len - skip;
    }

    return NGX_CONF_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid origin \"%V\": scheme and name without a "
                       "path, such as \"https://pub.example.com\"", &value[i]);
    return NGX_CONF_ERROR;
}


/* imagxp_broker https://broker.example.com price=0.001 jwks=… issuer=…; */

char *
ngx_http_imagxp_set_broker(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_imagxp_loc_conf_t  *ilcf = conf;

    ngx_str_t                 *value;
    ngx_uint_t                 i, j;
    ngx_http_imagxp_broker_t  *broker;

    if (ilcf->broker != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    broker = ngx_pcalloc(cf->pool, sizeof(ngx_http_imagxp_broker_t));
    if (broker == NULL) {
        return NGX_CONF_ERROR;
    }

    ilcf->broker = broker;
    broker->url = value[1];

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "price=", 6) == 0) {
            broker->price.data = value[i].data + 6;
            broker->price.len = value[i].len - 6;

        } else if (ngx_strncmp(value[i].data, "jwks=", 5) == 0) {
            broker->jwks.data = value[i].data + 5;
            broker->jwks.len = value[i].len - 5;

        } else if (ngx_strncmp(value[i].data, "issuer=", 7) == 0) {
            broker->issuer.data = value[i].data + 7;
            broker->issuer.len = value[i].len - 7;

        } else {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\"", &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    /* they become parts of a JSON text */

    for (i = 1; i < cf->args->nelts; i++) {
        for (j = 0; j < value[i].len; j++) {
            if (value[i].data[j] < 0x21 || value[i].data[j] > 0x7e
                || value[i].data[j] == '"' || value[i].data[j] == '\\')
            {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "invalid character in \"%V\"", &value[i]);
                return NGX_CONF_ERROR;
            }
        }
    }

    return NGX_CONF_OK;
}


char *
ngx_http_imagxp_set_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_imagxp_main_conf_t  *imcf = conf;

    ngx_str_t      *value, text;
    imagxp_status   status;

    if (imcf->key) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_http_imagxp_read_file(cf, &value[1], 4096, &text) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    imcf->key = ngx_palloc(cf->pool, sizeof(imagxp_key));
    if (imcf->key == NULL) {
        return NGX_CONF_ERROR;
    }

    status = imagxp_key_from_text(ngx_http_imagxp_str(text), imcf->key);

    ngx_explicit_memzero(text.data, text.len);

    if (status != IMAGXP_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is not a P-256 private key", &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* imagxp_story off | file [json]; */

char *
ngx_http_imagxp_set_story(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_imagxp_loc_conf_t  *ilcf = conf;

    ngx_str_t  *value;

    if (ilcf->story != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        ilcf->story = NULL;
        return NGX_CONF_OK;
    }

    ilcf->story_format = IMAGXP_STORY_TEXT;

    if (cf->args->nelts == 3) {
        if (ngx_strcmp(value[2].data, "json") != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\"", &value[2]);
            return NGX_CONF_ERROR;
        }

        ilcf->story_format = IMAGXP_STORY_JSON;
    }

    ilcf->story = ngx_conf_open_file(cf->cycle, &value[1]);

    return ilcf->story == NULL ? NGX_CONF_ERROR : NGX_CONF_OK;
}


/* imagxp_evidence directory [all]; */

char *
ngx_http_imagxp_set_evidence(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_imagxp_main_conf_t  *imcf = conf;

    ngx_str_t   *value;
    ngx_path_t  *path;

    if (imcf->evidence) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 3) {
        if (ngx_strcmp(value[2].data, "all") != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\"", &value[2]);
            return NGX_CONF_ERROR;
        }

        imcf->evidence_all = 1;
    }

    if (value[1].len == 0) {
        return "needs a directory";
    }

    path = ngx_pcalloc(cf->pool, sizeof(ngx_path_t));
    if (path == NULL) {
        return NGX_CONF_ERROR;
    }

    path->name = value[1];

    if (path->name.data[path->name.len - 1] == '/') {
        path->name.len--;
    }

    if (ngx_conf_full_name(cf->cycle, &path->name, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    path->conf_file = cf->conf_file->file.name.data;
    path->line = cf->conf_file->line;

    /* the master makes it, and gives it to the workers' user */

    imcf->evidence = path;

    return ngx_add_path(cf, &imcf->evidence) == NGX_OK ? NGX_CONF_OK
                                                        : NGX_CONF_ERROR;
}


/* imagxp_fail_limit off | 20r/s [burst=40]; */

char *
ngx_http_imagxp_set_limit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_imagxp_limit_t  *limit;

    ngx_int_t   rate, burst;
    ngx_str_t  *value;

    limit = (ngx_http_imagxp_limit_t *) ((char *) conf + cmd->offset);

    if (limit->rate != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        limit->rate = 0;
        return NGX_CONF_OK;
    }

    if (value[1].len < 4
        || ngx_strcmp(value[1].data + value[1].len - 3, "r/s") != 0)
    {
        goto invalid;
    }

    rate = ngx_atoi(value[1].data, value[1].len - 3);
    burst = 2 * rate;

    if (cf->args->nelts == 3) {
        if (ngx_strncmp(value[2].data, "burst=", 6) != 0) {
            goto invalid;
        }

        burst = ngx_atoi(value[2].data + 6, value[2].len - 6);
    }

    if (rate <= 0 || burst <= 0 || rate > 1000000 || burst > 1000000) {
        goto invalid;
    }

    limit->rate = rate;
    limit->burst = burst;

    return NGX_CONF_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid limit: \"off\", or such as "
                       "\"20r/s burst=40\"");
    return NGX_CONF_ERROR;
}


char *
ngx_http_imagxp_set_address(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_int_t      rc;
    ngx_str_t     *value;
    ngx_uint_t     i;
    ngx_cidr_t    *cidr;
    ngx_array_t  **list;

    list = (ngx_array_t **) ((char *) conf + cmd->offset);
    value = cf->args->elts;

    if (*list == NULL) {
        *list = ngx_array_create(cf->pool, 4, sizeof(ngx_cidr_t));
        if (*list == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    for (i = 1; i < cf->args->nelts; i++) {

        cidr = ngx_array_push(*list);
        if (cidr == NULL) {
            return NGX_CONF_ERROR;
        }

        rc = ngx_ptocidr(&value[i], cidr);

        if (rc == NGX_ERROR) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid address range \"%V\"", &value[i]);
            return NGX_CONF_ERROR;
        }

        if (rc == NGX_DONE) {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "low address bits of %V are meaningless",
                               &value[i]);
        }

        if (cmd->offset == offsetof(ngx_http_imagxp_main_conf_t, allow)) {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "\"imagxp_allow_address %V\": any agent's name "
                               "may make this server connect there; "
                               "for trials only", &value[i]);
        }
    }

    return NGX_CONF_OK;
}


char *
ngx_http_imagxp_set_documents(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_imagxp_loc_conf_t  *ilcf = conf;

    ilcf->documents = 1;

    return NGX_CONF_OK;
}
