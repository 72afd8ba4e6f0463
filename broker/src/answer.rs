//! What clients are told: a code, and a sentence that says what to mend. Nothing of what they sent comes back.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use imagxp::Error;
use serde_json::json;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Who asks is not proven: the library's own codes (docs/checks.md).
    Identity(Error),
    /// The account does not hold the price, and no provider pays it.
    PaymentRequired,
    /// The body is not the one object.
    BodyInvalid,
    /// No such publisher can be.
    PublisherInvalid,
    /// Not a decimal above 0 with six places, or beyond this broker's bounds.
    AmountInvalid,
    /// This nonce bought something else.
    SaleConflict,
    /// The first request of this sale is still at the payment provider.
    SalePending,
    /// The feedback names no visa.
    VisaUnnamed,
    /// This agent has bought no such visa.
    VisaUnknown,
    /// It was settled before, and otherwise.
    AlreadySettled,
    /// The dispute window has ended.
    DisputeOver,
    /// This agent has taken back as many payments as it may for now.
    RefundLimit,
    /// Too many requests.
    RateLimited,
    /// No answer in time.
    TimedOut,
    /// The database does not answer.
    LedgerUnavailable,
    /// Not the operator's token.
    AdminRequired,
    /// A change of money without a name of its own.
    KeyMissing,
    /// The key was used for something else.
    KeyConflict,
    /// More than the books can hold, or than is owed.
    BalanceRefused,
    /// No such name.
    NameInvalid,
    /// Nothing is here.
    NotFound,
    /// Not this method.
    MethodNotAllowed,
}

/// What the introduction's broker answers, to the letter.
const PAYMENT_REQUIRED: &str = r#"{"error":"Payment Required"}"#;

impl Refusal {
    /// The code, as the body and the metrics show it. The client sees the public code of an identity failure.
    #[must_use]
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Identity(error) => error.public().name(),
            Self::PaymentRequired => "PAYMENT_REQUIRED",
            Self::BodyInvalid => "BODY_INVALID",
            Self::PublisherInvalid => "PUBLISHER_INVALID",
            Self::AmountInvalid => "AMOUNT_INVALID",
            Self::SaleConflict => "SALE_CONFLICT",
            Self::SalePending => "SALE_PENDING",
            Self::VisaUnnamed => "VISA_UNNAMED",
            Self::VisaUnknown => "VISA_UNKNOWN",
            Self::AlreadySettled => "ALREADY_SETTLED",
            Self::DisputeOver => "DISPUTE_OVER",
            Self::RefundLimit => "REFUND_LIMIT",
            Self::RateLimited => "RATE_LIMITED",
            Self::TimedOut => "TIMED_OUT",
            Self::LedgerUnavailable => "LEDGER_UNAVAILABLE",
            Self::AdminRequired => "ADMIN_REQUIRED",
            Self::KeyMissing => "IDEMPOTENCY_KEY_MISSING",
            Self::KeyConflict => "IDEMPOTENCY_KEY_CONFLICT",
            Self::BalanceRefused => "BALANCE_REFUSED",
            Self::NameInvalid => "NAME_INVALID",
            Self::NotFound => "NOT_FOUND",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Identity(error) => StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            Self::PaymentRequired => StatusCode::PAYMENT_REQUIRED,
            Self::BodyInvalid
            | Self::PublisherInvalid
            | Self::AmountInvalid
            | Self::VisaUnnamed
            | Self::KeyMissing
            | Self::NameInvalid => StatusCode::BAD_REQUEST,
            Self::SaleConflict
            | Self::AlreadySettled
            | Self::DisputeOver
            | Self::KeyConflict
            | Self::BalanceRefused => StatusCode::CONFLICT,
            Self::VisaUnknown | Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::AdminRequired => StatusCode::UNAUTHORIZED,
            Self::RateLimited | Self::RefundLimit => StatusCode::TOO_MANY_REQUESTS,
            Self::SalePending | Self::TimedOut | Self::LedgerUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Identity(Error::IdentityRequired) => {
                "this broker sells to verified agents only: sign the request for this URL with the key that your domain publishes (`imagxp visa buy`)"
            }
            Self::Identity(error) => error.public().help(),
            Self::PaymentRequired => "the account does not hold the price",
            Self::BodyInvalid => {
                r#"send one JSON object of at most 4,096 bytes, {"publisher":"nytimes.com","amount":0.001}, or for feedback the signed token itself"#
            }
            Self::PublisherInvalid => "publisher is a domain name in lower case, nytimes.com or https://nytimes.com",
            Self::AmountInvalid => "amount is a decimal above 0 with at most six places, within this broker's bounds",
            Self::SaleConflict => "this nonce has bought another visa: sign a new request, with a nonce of its own",
            Self::SalePending => "the payment provider has not answered yet: send the same request again in a second",
            Self::VisaUnnamed => "the feedback names no visa: sign it with the visa's jti (claim `visa`)",
            Self::VisaUnknown => "this agent has bought no visa of that name here",
            Self::AlreadySettled => "the payment was settled before by another score",
            Self::DisputeOver => "the visa's dispute window has ended: the payment is the publisher's",
            Self::RefundLimit => {
                "this agent has taken back as many payments as this broker allows within 24 hours: send it again later, before the dispute window ends"
            }
            Self::TimedOut => "this took too long: send the same request again, it is the same sale",
            Self::RateLimited => "too many requests: slow down",
            Self::LedgerUnavailable => {
                "the books cannot be written at the moment: send the same request again, it is the same sale"
            }
            Self::AdminRequired => "send the operator's token: authorization: Bearer …",
            Self::KeyMissing => {
                "send an idempotency-key header of 1 to 128 characters A-Z a-z 0-9 . _ : -, one for each payment"
            }
            Self::KeyConflict => "this idempotency-key was used for another payment",
            Self::BalanceRefused => {
                "the publisher is not owed that much, or the account would exceed what the books can hold"
            }
            Self::NameInvalid => "that is not a domain name",
            Self::NotFound => "POST /issue-visa, POST /feedback, GET /.well-known/jwks.json, GET /healthz",
            Self::MethodNotAllowed => "POST /issue-visa and /feedback; GET for the rest",
        }
    }

    fn retry_after_s(self) -> Option<u32> {
        match self {
            Self::Identity(error) => error.retry_after_s(),
            Self::SalePending | Self::RateLimited => Some(1),
            Self::TimedOut | Self::LedgerUnavailable => Some(2),
            Self::RefundLimit => Some(3_600),
            _ => None,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = match self {
            Self::PaymentRequired => PAYMENT_REQUIRED.to_owned(),
            other => json!({"error": other.code(), "message": other.help()}).to_string(),
        };
        let mut response = json_response(self.status(), body);
        if let Some(seconds) = self.retry_after_s() {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self == Self::AdminRequired {
            response.headers_mut().insert(http::header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// A JSON answer.
pub(crate) fn json_response(status: StatusCode, body: String) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A good one.
pub(crate) fn ok(value: &serde_json::Value) -> Response {
    json_response(StatusCode::OK, value.to_string())
}
