
/*
 * What the library's numbers are called in logs, variables and headers.
 */


#include "ngx_http_imagxp.h"


static ngx_str_t  ngx_http_imagxp_visitors[] = {
    ngx_null_string,
    ngx_string("VERIFIED_AGENT"),
    ngx_string("LIKELY_HUMAN"),
    ngx_string("UNIDENTIFIED_BOT")
};


static ngx_str_t  ngx_http_imagxp_purposes[] = {
    ngx_null_string,
    ngx_string("CRAWL_TRAINING"),
    ngx_string("RAG_RETRIEVAL"),
    ngx_string("SUMMARY"),
    ngx_string("QUOTATION"),
    ngx_string("EMBEDDING")
};


static ngx_str_t  ngx_http_imagxp_bounds[] = {
    ngx_string("none"),
    ngx_string("authority"),
    ngx_string("exact")
};


static ngx_str_t  ngx_http_imagxp_proofs[] = {
    ngx_string("NONE"),
    ngx_string("VISA"),
    ngx_string("WHITELIST"),
    ngx_string("AD_PROOF")
};


#define ngx_http_imagxp_text(table, n)                                        \
    &table[(size_t) (n) < sizeof(table) / sizeof(table[0]) ? (n) : 0]


ngx_str_t *
ngx_http_imagxp_visitor(int32_t visitor)
{
    return ngx_http_imagxp_text(ngx_http_imagxp_visitors, visitor);
}


ngx_str_t *
ngx_http_imagxp_purpose(int32_t purpose)
{
    return ngx_http_imagxp_text(ngx_http_imagxp_purposes, purpose);
}


ngx_str_t *
ngx_http_imagxp_bound(int32_t bound)
{
    return ngx_http_imagxp_text(ngx_http_imagxp_bounds, bound);
}


ngx_str_t *
ngx_http_imagxp_proof(int32_t proof)
{
    return ngx_http_imagxp_text(ngx_http_imagxp_proofs, proof);
}
