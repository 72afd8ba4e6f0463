/* An imagxp_str of a string literal. */
#define IMAGXP_STR(literal) imagxp_str_of("" literal, sizeof(literal) - 1)

/* The text of a span, for the buffer (imagxp_buf) that it is a span of. Empty if it is not. */
#define IMAGXP_TEXT(buffer, span) imagxp_text((buffer), (span))

/* Zeroes a struct and sets its size. */
#define IMAGXP_INIT(object) imagxp_init((object), sizeof *(object))

/* The policy that imagxp_policy_parse has put into an array of words. */
#define IMAGXP_POLICY(words) ((const imagxp_policy *)(const void *)(words))

/* Initialises an imagxp_key_cache or imagxp_replay_cache with an array of words (not a pointer). */
#define IMAGXP_VIEW(array) { (array), sizeof(array) / sizeof((array)[0]) }

/* As imagxp_key_cache_words, for static arrays. */
#define IMAGXP_KEY_CACHE_WORDS(names, issuers, tables, table_kib)                                  \
    (@HEAD@ + @AGENT@ * ((size_t)(names) - IMAGXP_QUARTER_(names)) + @REFUSED@ * IMAGXP_QUARTER_(names)             \
     + @ISSUER@ * (size_t)(issuers) + (@OWNER@ + 128 * (size_t)(table_kib)) * (size_t)(tables))
#define IMAGXP_QUARTER_(names) ((size_t)(names) < 8 ? 1 : (size_t)(names) / 4)

/* As imagxp_replay_cache_words, for static arrays. */
#define IMAGXP_REPLAY_CACHE_WORDS(slots)                                                           \
    (32 + 48 * IMAGXP_BUCKETS_(slots) + 12 * ((IMAGXP_BUCKETS_(slots) + 3) / 4)                    \
     + 8 * ((IMAGXP_BUCKETS_(slots) + 31) / 32))
#define IMAGXP_BUCKETS_(slots) ((size_t)(slots) == 0 ? 1 : ((size_t)(slots) + 15) / 16)

#if defined(__cplusplus) || (defined(__STDC_VERSION__) && __STDC_VERSION__ >= 199901L)
#define IMAGXP_INLINE_ static inline
#elif defined(__GNUC__)
#define IMAGXP_INLINE_ static __inline__ __attribute__((unused))
#else
#define IMAGXP_INLINE_ static
#endif

/* An imagxp_str of its parts. */
IMAGXP_INLINE_ imagxp_str imagxp_str_of(const char *ptr, size_t len)
{
    imagxp_str text;
    text.ptr = ptr;
    text.len = len;
    return text;
}

/* What IMAGXP_TEXT does. */
IMAGXP_INLINE_ imagxp_str imagxp_text(imagxp_buf buffer, imagxp_span span)
{
    if (span.at > buffer.len || span.len > buffer.len - span.at || span.len == 0) {
        return imagxp_str_of("", 0);
    }
    return imagxp_str_of((const char *)(const void *)(buffer.ptr + span.at), span.len);
}

/* What IMAGXP_INIT does. */
IMAGXP_INLINE_ void imagxp_init(void *object, size_t size)
{
    unsigned char *byte = (unsigned char *)object;
    size_t at;
    for (at = 0; at < size; at++) {
        byte[at] = 0;
    }
    *(size_t *)object = size;
}
