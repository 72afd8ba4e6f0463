
/*
 * Variables: of the decision, for logs, maps and upstream headers; and of
 * the fetch, for the internal location.
 */


#include "ngx_http_imagxp.h"


static ngx_int_t ngx_http_imagxp_code_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_imagxp_http_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_imagxp_number_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_imagxp_text_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_imagxp_claimed_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_imagxp_fetch_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_imagxp_fresh_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


#define NGX_HTTP_IMAGXP_VISITOR  0
#define NGX_HTTP_IMAGXP_PURPOSE  1
#define NGX_HTTP_IMAGXP_BOUND    2
#define NGX_HTTP_IMAGXP_PROOF    3


/* all can change while a request is served */

#define ngx_http_imagxp_variable(name, handler, data)                         \
    { ngx_string(name), NULL, handler, (uintptr_t) data,                      \
      NGX_HTTP_VAR_NOCACHEABLE, 0 }


static ngx_http_variable_t  ngx_http_imagxp_vars[] = {

    ngx_http_imagxp_variable("imagxp_code", ngx_http_imagxp_code_variable, 0),

    ngx_http_imagxp_variable("imagxp_status", ngx_http_imagxp_http_variable,
                             0),

    ngx_http_imagxp_variable("imagxp_visitor", ngx_http_imagxp_number_variable,
                             NGX_HTTP_IMAGXP_VISITOR),

    ngx_http_imagxp_variable("imagxp_purpose", ngx_http_imagxp_number_variable,
                             NGX_HTTP_IMAGXP_PURPOSE),

    ngx_http_imagxp_variable("imagxp_bound", ngx_http_imagxp_number_variable,
                             NGX_HTTP_IMAGXP_BOUND),

    ngx_http_imagxp_variable("imagxp_proof", ngx_http_imagxp_number_variable,
                             NGX_HTTP_IMAGXP_PROOF),

    ngx_http_imagxp_variable("imagxp_agent", ngx_http_imagxp_text_variable,
                             offsetof(ngx_http_imagxp_ctx_t, agent)),

    ngx_http_imagxp_variable("imagxp_kid", ngx_http_imagxp_text_variable,
                             offsetof(ngx_http_imagxp_ctx_t, kid)),

    ngx_http_imagxp_variable("imagxp_nonce", ngx_http_imagxp_text_variable,
                             offsetof(ngx_http_imagxp_ctx_t, nonce)),

    ngx_http_imagxp_variable("imagxp_visa_jti", ngx_http_imagxp_text_variable,
                             offsetof(ngx_http_imagxp_ctx_t, jti)),

    ngx_http_imagxp_variable("imagxp_visa_issuer",
                             ngx_http_imagxp_text_variable,
                             offsetof(ngx_http_imagxp_ctx_t, issuer)),

    ngx_http_imagxp_variable("imagxp_claimed_agent",
                             ngx_http_imagxp_claimed_variable, 0),

    ngx_http_imagxp_variable("imagxp_fetch_url",
                             ngx_http_imagxp_fetch_variable,
                             offsetof(ngx_http_imagxp_flight_t, url)),

    ngx_http_imagxp_variable("imagxp_fetch_scheme",
                             ngx_http_imagxp_fetch_variable,
                             offsetof(ngx_http_imagxp_flight_t, scheme)),

    ngx_http_imagxp_variable("imagxp_fetch_address",
                             ngx_http_imagxp_fetch_variable,
                             offsetof(ngx_http_imagxp_flight_t, address)),

    ngx_http_imagxp_variable("imagxp_fetch_host",
                             ngx_http_imagxp_fetch_variable,
                             offsetof(ngx_http_imagxp_flight_t, host)),

    ngx_http_imagxp_variable("imagxp_fetch_name",
                             ngx_http_imagxp_fetch_variable,
                             offsetof(ngx_http_imagxp_flight_t, name)),

    ngx_http_imagxp_variable("imagxp_fetch_uri",
                             ngx_http_imagxp_fetch_variable,
                             offsetof(ngx_http_imagxp_flight_t, uri)),

    ngx_http_imagxp_variable("imagxp_fetch_certificate",
                             ngx_http_imagxp_fetch_variable,
                             offsetof(ngx_http_imagxp_flight_t, certificate)),

    ngx_http_imagxp_variable("imagxp_fetch_fresh",
                             ngx_http_imagxp_fresh_variable, 0),

    ngx_http_null_variable
};


ngx_int_t
ngx_http_imagxp_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_imagxp_vars; v->name.len; v++) {

        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_imagxp_value(ngx_http_variable_value_t *v, ngx_str_t *text)
{
    if (text->len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->len = text->len;
    v->data = text->data;

    return NGX_OK;
}


static ngx_http_imagxp_ctx_t *
ngx_http_imagxp_decision(ngx_http_request_t *r)
{
    ngx_http_imagxp_ctx_t  *ctx;

    ctx = ngx_http_imagxp_get_ctx(r);

    return ctx && ctx->decided ? ctx : NULL;
}


static ngx_int_t
ngx_http_imagxp_code_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t               value;
    imagxp_str              text;
    ngx_http_imagxp_ctx_t  *ctx;

    ctx = ngx_http_imagxp_decision(r);

    if (ctx == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    text = imagxp_status_name(ctx->status);
    value.data = (u_char *) text.ptr;
    value.len = text.len;

    return ngx_http_imagxp_value(v, &value);
}


static ngx_int_t
ngx_http_imagxp_http_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t               value;
    ngx_http_imagxp_ctx_t  *ctx;

    ctx = ngx_http_imagxp_decision(r);

    if (ctx == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    value.data = ngx_pnalloc(r->pool, NGX_INT32_LEN);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    value.len = ngx_sprintf(value.data, "%D", imagxp_status_http(ctx->status))
                - value.data;

    return ngx_http_imagxp_value(v, &value);
}


/* of verified requests only */

static ngx_int_t
ngx_http_imagxp_number_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_imagxp_ctx_t  *ctx;

    ctx = ngx_http_imagxp_decision(r);

    if (ctx == NULL || (ctx->status != IMAGXP_OK && !ctx->at_admission)) {
        v->not_found = 1;
        return NGX_OK;
    }

    switch (data) {

    case NGX_HTTP_IMAGXP_VISITOR:
        return ngx_http_imagxp_value(v,
                         ngx_http_imagxp_visitor(ctx->verified.visitor));

    case NGX_HTTP_IMAGXP_PURPOSE:
        return ngx_http_imagxp_value(v,
                         ngx_http_imagxp_purpose(ctx->verified.purpose));

    case NGX_HTTP_IMAGXP_BOUND:
        return ngx_http_imagxp_value(v,
                         ngx_http_imagxp_bound(ctx->verified.bound));

    default: /* NGX_HTTP_IMAGXP_PROOF */
        return ngx_http_imagxp_value(v,
                         ngx_http_imagxp_proof(ctx->verified.proof));
    }
}


static ngx_int_t
ngx_http_imagxp_text_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_imagxp_ctx_t  *ctx;

    ctx = ngx_http_imagxp_decision(r);

    if (ctx == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    /* a name that is not proven is no agent */

    if (data == offsetof(ngx_http_imagxp_ctx_t, agent)
        && ctx->verified.visitor != IMAGXP_VERIFIED_AGENT)
    {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_imagxp_value(v, (ngx_str_t *) ((char *) ctx + data));
}


/* who says that it signed, proven or not; its name has passed the grammar */

static ngx_int_t
ngx_http_imagxp_claimed_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t               value;
    imagxp_str              text;
    imagxp_unproven         unproven;
    ngx_http_imagxp_ctx_t  *ctx;

    v->not_found = 1;

    ctx = ngx_http_imagxp_decision(r);

    if (ctx == NULL) {
        return NGX_OK;
    }

    if (ctx->agent.len) {
        return ngx_http_imagxp_value(v, &ctx->agent);
    }

    IMAGXP_INIT(&unproven);

    if (imagxp_request_parse(&ctx->visit, ngx_http_imagxp_worker.scratch,
                             &unproven)
        != IMAGXP_OK)
    {
        return NGX_OK;
    }

    text = IMAGXP_TEXT(ngx_http_imagxp_worker.scratch, unproven.agent_id);

    value.len = text.len;
    value.data = ngx_pnalloc(r->pool, text.len);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(value.data, text.ptr, text.len);

    return ngx_http_imagxp_value(v, &value);
}


static ngx_int_t
ngx_http_imagxp_fetch_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_imagxp_flight_t  *flight;

    flight = ngx_http_imagxp_document(r);

    if (flight == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_imagxp_value(v, (ngx_str_t *) ((char *) flight + data));
}


static ngx_int_t
ngx_http_imagxp_fresh_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                  value;
    ngx_http_imagxp_flight_t  *flight;

    flight = ngx_http_imagxp_document(r);

    ngx_str_set(&value, "1");

    if (flight == NULL || !flight->fresh) {
        value.len = 0;
    }

    return ngx_http_imagxp_value(v, &value);
}
