
/*
 * Policies are compiled when the configuration is read.
 */


#include "ngx_http_imagxp.h"


static u_char *ngx_http_imagxp_write_members(u_char *p,
    ngx_http_imagxp_loc_conf_t *conf, ngx_uint_t audiences);
static ngx_int_t ngx_http_imagxp_extend(ngx_conf_t *cf,
    ngx_http_imagxp_loc_conf_t *conf, ngx_uint_t audiences, ngx_str_t *json);
static char *ngx_http_imagxp_terms(ngx_conf_t *cf,
    ngx_http_imagxp_policy_t *policy);
static ngx_int_t ngx_http_imagxp_write_discovery(ngx_conf_t *cf,
    ngx_http_imagxp_policy_t *policy);


/*
 * What "imagxp_audience" and "imagxp_broker" say becomes part of the policy.
 * A policy that has its own "audiences" keeps them.
 */

char *
ngx_http_imagxp_compile(ngx_conf_t *cf, ngx_http_imagxp_loc_conf_t *conf)
{
    ngx_str_t                  json;
    ngx_uint_t                 audiences;
    imagxp_status              status;
    ngx_http_imagxp_policy_t  *policy;

    policy = ngx_pcalloc(cf->pool, sizeof(ngx_http_imagxp_policy_t));
    if (policy == NULL) {
        return NGX_CONF_ERROR;
    }

    for (audiences = 1; /* void */ ; audiences--) {

        if (ngx_http_imagxp_extend(cf, conf, audiences, &json) != NGX_OK) {
            return NGX_CONF_ERROR;
        }

        status = imagxp_policy_parse(ngx_http_imagxp_str(json), policy->words,
                                     IMAGXP_POLICY_WORDS);

        if (status == IMAGXP_OK || audiences == 0) {
            break;
        }
    }

    if (status != IMAGXP_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "imagxp policy is not valid%s; "
                           "\"imagxp policy check\" says which member of %V",
                           conf->broker
                           ? " (or it repeats what \"imagxp_broker\" says)"
                           : "", &json);
        return NGX_CONF_ERROR;
    }

    policy->json = json;
    conf->policy = policy;

    return ngx_http_imagxp_terms(cf, policy);
}


static ngx_int_t
ngx_http_imagxp_extend(ngx_conf_t *cf, ngx_http_imagxp_loc_conf_t *conf,
    ngx_uint_t audiences, ngx_str_t *json)
{
    u_char                    *p, *brace, *last;
    size_t                     len;
    ngx_str_t                  text;
    ngx_uint_t                 i;
    ngx_http_imagxp_origin_t  *origin;

    text = conf->policy_text;
    last = text.data + text.len;

    brace = ngx_strlchr(text.data, last, '{');
    if (brace == NULL || (!audiences && conf->broker == NULL)) {
        *json = text;
        return NGX_OK;
    }

    len = text.len + sizeof("\"audiences\":[],");

    origin = conf->origins->elts;
    for (i = 0; i < conf->origins->nelts; i++) {
        len += origin[i].authority.len + sizeof("\"https://\",");
    }

    if (conf->broker) {
        len += 2 * conf->broker->url.len + conf->broker->jwks.len
               + conf->broker->issuer.len + conf->broker->price.len
               + sizeof("\"monetization\":{\"brokerUrl\":\"\",\"paymentConfig\""
                        ":{\"jwksUrl\":\"\",\"issuer\":\"\"}},\"price\":\"\",");
    }

    json->data = ngx_pnalloc(cf->pool, len);
    if (json->data == NULL) {
        return NGX_ERROR;
    }

    brace++;

    p = ngx_cpymem(json->data, text.data, brace - text.data);
    p = ngx_http_imagxp_write_members(p, conf, audiences);

    while (brace < last && (*brace == ' ' || *brace == '\t' || *brace == CR
                            || *brace == LF))
    {
        brace++;
    }

    if (brace < last && *brace == '}') {
        p--;                               /* the comma */
    }

    p = ngx_cpymem(p, brace, last - brace);
    json->len = p - json->data;

    return NGX_OK;
}


static u_char *
ngx_http_imagxp_write_members(u_char *p, ngx_http_imagxp_loc_conf_t *conf,
    ngx_uint_t audiences)
{
    ngx_uint_t                 i;
    ngx_http_imagxp_broker_t  *broker;
    ngx_http_imagxp_origin_t  *origin;

    if (audiences) {
        origin = conf->origins->elts;

        p = ngx_cpymem(p, "\"audiences\":[", sizeof("\"audiences\":[") - 1);

        for (i = 0; i < conf->origins->nelts; i++) {
            p = ngx_sprintf(p, "%s\"%V://%V\"", i ? "," : "",
                            &origin[i].scheme, &origin[i].authority);
        }

        p = ngx_cpymem(p, "],", 2);
    }

    broker = conf->broker;

    if (broker == NULL) {
        return p;
    }

    p = ngx_sprintf(p, "\"monetization\":{\"brokerUrl\":\"%V\"", &broker->url);

    if (broker->jwks.len) {
        p = ngx_sprintf(p, ",\"paymentConfig\":{\"jwksUrl\":\"%V\","
                        "\"issuer\":\"%V\"}", &broker->jwks,
                        broker->issuer.len ? &broker->issuer : &broker->url);
    }

    p = ngx_cpymem(p, "},", 2);

    if (broker->price.len) {
        p = ngx_sprintf(p, "\"price\":\"%V\",", &broker->price);
    }

    return p;
}


static char *
ngx_http_imagxp_terms(ngx_conf_t *cf, ngx_http_imagxp_policy_t *policy)
{
    size_t                        i;
    imagxp_buf                    scratch;
    imagxp_str                    text;
    imagxp_need                   need;
    imagxp_terms                  terms;
    const imagxp_policy          *words;
    ngx_http_imagxp_main_conf_t  *imcf;

    imcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_imagxp_module);
    words = IMAGXP_POLICY(policy->words);

    scratch.len = IMAGXP_SCRATCH_LEN;
    scratch.ptr = ngx_palloc(cf->pool, scratch.len);
    if (scratch.ptr == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 0;
         imagxp_policy_document(words, i, scratch, &need) == IMAGXP_NEED;
         i++)
    {
        /* void */
    }

    policy->issuers = i;
    imcf->issuers += i;

    IMAGXP_INIT(&terms);

    if (imagxp_policy_terms(words, scratch, &terms) != IMAGXP_OK) {
        return NGX_CONF_ERROR;
    }

    policy->flags = terms.flags;
    policy->window = terms.window_ms;

    if (ngx_http_imagxp_write_discovery(cf, policy) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    /* scratch lives as long as the configuration */

    text = IMAGXP_TEXT(scratch, terms.broker_url);
    policy->broker.data = (u_char *) text.ptr;
    policy->broker.len = text.len;

    text = IMAGXP_TEXT(scratch, terms.price);
    policy->price.data = (u_char *) text.ptr;
    policy->price.len = text.len;

    if (terms.flags & IMAGXP_TERMS_DEVELOPMENT) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "imagxp policy is for development: localhost is an "
                           "agent, and plain http is good; "
                           "never on a public site");
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_imagxp_write_discovery(ngx_conf_t *cf,
    ngx_http_imagxp_policy_t *policy)
{
    size_t         needed;
    imagxp_buf     out;
    imagxp_status  status;

    out.ptr = NULL;
    out.len = 0;

    status = imagxp_policy_discovery(IMAGXP_POLICY(policy->words), out,
                                     &needed);

    if (status != IMAGXP_BUFFER_TOO_SMALL) {
        return NGX_ERROR;
    }

    out.len = needed;
    out.ptr = ngx_pnalloc(cf->pool, needed);
    if (out.ptr == NULL) {
        return NGX_ERROR;
    }

    if (imagxp_policy_discovery(IMAGXP_POLICY(policy->words), out, &needed)
        != IMAGXP_OK)
    {
        return NGX_ERROR;
    }

    policy->discovery.data = out.ptr;
    policy->discovery.len = needed;

    return NGX_OK;
}
