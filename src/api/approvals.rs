//! `/api/approvals`: what runs ask of people, and the answers.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::error::{Error, ErrorResponse, Result};
use super::extract::{Json, Path, Query};
use super::visit;
use super::workflows::{fifty, within_limit};
use crate::runs::{Approval, Decide};

/// Which of them.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// At most so many, 1–500.
    #[serde(default = "fifty")]
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: u32,
}

/// Questions that wait for an answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "approvals": [{
        "id": "0199c3a0-5f0e-7c3a-9b1e-0d2f4a6b8c05", "run_id": "0199c3a0-5f0e-7c3a-9b1e-0d2f4a6b8c04", "workflow_id": "orders",
        "step_id": "ask", "message": "Send the order to Ada?", "choices": ["approved", "rejected"], "since": "2026-01-31T12:00:00.000000Z",
        "until": null, "decision": null
    }],
    "count": 1
}))]
pub(crate) struct ApprovalList {
    /// The oldest first.
    approvals: Vec<Approval>,
    /// How many there are in all.
    count: u64,
}

/// An answer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "choice": "approved", "comment": "looks right" }))]
pub(crate) struct DecisionRequest {
    /// One of the choices.
    choice: String,
    /// What there is to say beside it.
    #[serde(default)]
    comment: Option<String>,
}

/// What runs wait for people to decide.
#[utoipa::path(get, path = "/api/approvals", tag = "runs", operation_id = "approvals_list", params(ListQuery), responses((status = 200, body = ApprovalList), (status = 422, body = ErrorResponse)))]
pub(crate) async fn list(State(state): State<super::State>, Query(query): Query<ListQuery>) -> Result<axum::Json<ApprovalList>> {
    let (approvals, count) = state.runs().approvals(within_limit(query.limit)?).await?;
    Ok(axum::Json(ApprovalList { approvals, count }))
}

/// A question, whether it is answered or not.
#[utoipa::path(get, path = "/api/approvals/{approval_id}", tag = "runs", operation_id = "approvals_get", params(("approval_id" = String, Path)), responses((status = 200, body = Approval), (status = 404, body = ErrorResponse)))]
pub(crate) async fn get(State(state): State<super::State>, Path(id): Path<String>) -> Result<axum::Json<Approval>> {
    Ok(axum::Json(state.runs().approval(&id).await?.ok_or_else(|| Error::not_found("approval", &id))?))
}

/// Answers a question, once; its run goes on.
#[utoipa::path(post, path = "/api/approvals/{approval_id}", tag = "runs", operation_id = "approvals_decide", params(("approval_id" = String, Path)), request_body = DecisionRequest, responses((status = 200, body = Approval), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse)))]
pub(crate) async fn decide(
    State(state): State<super::State>,
    Path(id): Path<String>,
    Json(request): Json<DecisionRequest>,
) -> Result<axum::Json<Approval>> {
    let decide = Decide { choice: request.choice, comment: request.comment, by: visit::name() };
    Ok(axum::Json(state.runs().decide(&id, decide).await?))
}
