
/*
 * The directives that say what a site is: its policy, its origins, its broker
 * and its key.
 */


#include "ngx_http_imagxp.h"


static ngx_int_t ngx_http_imagxp_read_file(ngx_conf_t *cf, ngx_str_t *name,
    size_t max, ngx_str_t *text);


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


static ngx_int_t
ngx_http_imagxp_read_file(ngx_conf_t *cf, ngx_str_t *name, size_t max,
    ngx_str_t *text)
{
    off_t       size;
    ssize_t     n;
    ngx_file_t  file;

    if (ngx_conf_full_name(cf->cycle, name, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memzero(&file, sizeof(ngx_file_t));
    file.name = *name;
    file.log = cf->log;

    file.fd = ngx_open_file(name->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);
    if (file.fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", name);
        return NGX_ERROR;
    }

    if (ngx_fd_info(file.fd, &file.info) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_fd_info_n " \"%V\" failed", name);
        goto failed;
    }

    size = ngx_file_size(&file.info);

    if (size == 0 || size > (off_t) max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" has %O bytes: 1 to %uz are expected",
                           name, size, max);
        goto failed;
    }

    text->len = (size_t) size;
    text->data = ngx_pnalloc(cf->pool, text->len);
    if (text->data == NULL) {
        goto failed;
    }

    n = ngx_read_file(&file, text->data, text->len, 0);
    if (n != (ssize_t) text->len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_read_file_n " \"%V\" failed", name);
        goto failed;
    }

    ngx_close_file(file.fd);

    return NGX_OK;

failed:

    ngx_close_file(file.fd);

    return NGX_ERROR;
}
