//! Which features a user interface may show.

use axum::Json;

use super::document::SERVICE_TOGGLES;
use crate::model::{BothSpellings, ErrorMessage, ServiceTogglesConfig};
use crate::store::Caller;

/// Get Service Toggles
///
/// Features that this server does not have are off: user interfaces do not show them.
#[utoipa::path(
    get, path = "/v1/private/toggles", operation_id = "getServiceToggles", tag = SERVICE_TOGGLES,
    responses(
        (status = 200, description = "Service Toggles", body = ServiceTogglesConfig),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn get_service_toggles(_caller: Caller) -> Json<BothSpellings<ServiceTogglesConfig>> {
    Json(BothSpellings(ServiceTogglesConfig))
}
