//! Attachments: files that belong to spans and traces.

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};
use validator::Validate;

use super::json::optional_objects;
use super::span_enums::vocabulary;
use super::{Id, Int32, Int64, NotEmpty, ProjectName};

vocabulary!(
    /// What a file belongs to.
    AttachmentEntity {
        /// A whole trace.
        Trace = 2,
        /// A step of a trace.
        Span = 1,
    }
);

/// A file that is about to be uploaded.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(expecting = "an object that describes a file")]
pub struct StartMultipartUploadRequest {
    /// The file's name. At most 20,000 characters unless the server is set up otherwise.
    #[schema(required, value_type = String, min_length = 1)]
    #[validate(required(message = "must not be blank"), nested)]
    pub file_name: Option<NotEmpty>,
    /// Into how many parts the client would cut it. It is uploaded in one all the same.
    #[schema(required, value_type = i32)]
    #[validate(required(message = "must not be null"))]
    pub num_of_file_parts: Option<Int32>,
    /// Its media type; guessed from the name when absent.
    pub mime_type: Option<String>,
    /// If null, the default project is used
    #[schema(inline)]
    #[validate(nested)]
    pub project_name: Option<ProjectName>,
    /// What it will belong to.
    #[schema(required, value_type = AttachmentEntity, inline)]
    #[validate(required(message = "must not be null"))]
    pub entity_type: Option<AttachmentEntity>,
    /// To which one.
    #[schema(required, value_type = String, format = Uuid)]
    #[validate(required(message = "must not be null"))]
    pub entity_id: Option<Id>,
    /// Not read.
    #[serde(skip)]
    #[schema(value_type = Option<String>, format = Uuid, read_only)]
    pub container_id: (),
    /// The address by which the client reaches the server, in base64.
    #[schema(required, value_type = String, min_length = 1)]
    #[validate(required(message = "must not be blank"), nested)]
    pub path: Option<NotEmpty>,
}

/// Where to upload a file to.
#[derive(Debug, Serialize, ToSchema)]
pub struct StartMultipartUploadResponse {
    /// Always `BEMinIO`: the whole file goes to the one address with a `PUT`, and nothing is to be completed.
    #[schema(min_length = 1)]
    pub upload_id: &'static str,
    /// The one address.
    pub pre_sign_urls: Vec<String>,
}

/// A file whose upload is done.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(expecting = "an object that describes a file")]
pub struct CompleteMultipartUploadRequest {
    /// The file's name.
    #[schema(required, value_type = String, min_length = 1)]
    #[validate(required(message = "must not be blank"), nested)]
    pub file_name: Option<NotEmpty>,
    /// If null, the default project is used
    #[schema(inline)]
    #[validate(nested)]
    pub project_name: Option<ProjectName>,
    /// What it belongs to.
    #[schema(required, value_type = AttachmentEntity, inline)]
    #[validate(required(message = "must not be null"))]
    pub entity_type: Option<AttachmentEntity>,
    /// To which one.
    #[schema(required, value_type = String, format = Uuid)]
    #[validate(required(message = "must not be null"))]
    pub entity_id: Option<Id>,
    /// Not read.
    #[serde(skip)]
    #[schema(value_type = Option<String>, format = Uuid, read_only)]
    pub container_id: (),
    /// How large it is.
    #[schema(required, value_type = i64)]
    #[validate(required(message = "must not be null"))]
    pub file_size: Option<Int64>,
    /// Its media type.
    pub mime_type: Option<String>,
    /// What the start answered.
    #[schema(required, value_type = String, min_length = 1)]
    #[validate(required(message = "must not be blank"), nested)]
    pub upload_id: Option<NotEmpty>,
    /// Its parts.
    #[schema(required, value_type = Vec<MultipartUploadPart>)]
    #[validate(required(message = "must not be null"), nested)]
    #[serde(default, deserialize_with = "optional_objects")]
    pub uploaded_file_parts: Option<Vec<MultipartUploadPart>>,
}

/// One part of a file.
#[derive(Debug, Serialize, Deserialize, ToSchema, Validate)]
#[serde(expecting = "an object that describes a part of a file")]
pub struct MultipartUploadPart {
    /// What the upload of the part answered.
    #[schema(required, value_type = String, min_length = 1)]
    #[validate(required(message = "must not be blank"), nested)]
    pub e_tag: Option<NotEmpty>,
    /// Which part.
    #[schema(required, value_type = i32)]
    #[validate(required(message = "must not be null"))]
    pub part_number: Option<Int32>,
}

/// Which files of one span or trace to delete.
///
/// The published contract describes another operation's request, and generated clients send that; the original reads
/// `file_names`, and its user interface sends them without what is called required here. Both are understood.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(expecting = "an object that names files")]
pub struct DeleteAttachmentsRequest {
    /// The files' names. Those that are not there are passed over.
    pub file_names: Option<Vec<String>>,
    /// One file's name.
    #[schema(required, value_type = String, min_length = 1)]
    #[validate(nested)]
    pub file_name: Option<NotEmpty>,
    /// Their project, by name. If null, the default project is used
    #[schema(inline)]
    #[validate(nested)]
    pub project_name: Option<ProjectName>,
    /// What they belong to.
    #[schema(required, value_type = AttachmentEntity, inline)]
    #[validate(required(message = "must not be null"))]
    pub entity_type: Option<AttachmentEntity>,
    /// To which one.
    #[schema(required, value_type = String, format = Uuid)]
    #[validate(required(message = "must not be null"))]
    pub entity_id: Option<Id>,
    /// Their project, by id; counts more than a name. Published as if it were not read.
    #[schema(value_type = Option<String>, format = Uuid, read_only)]
    pub container_id: Option<Id>,
    /// Not looked at.
    #[schema(required, value_type = i64)]
    pub file_size: Option<Int64>,
    /// Not looked at.
    pub mime_type: Option<String>,
    /// Not looked at.
    #[schema(required, value_type = String, min_length = 1)]
    #[validate(nested)]
    pub upload_id: Option<NotEmpty>,
    /// Not looked at.
    #[schema(required, value_type = Vec<MultipartUploadPart>)]
    #[validate(nested)]
    #[serde(default, deserialize_with = "optional_objects")]
    pub uploaded_file_parts: Option<Vec<MultipartUploadPart>>,
}

/// A file that belongs to a span or a trace.
#[derive(Debug, Serialize, ToSchema)]
pub struct Attachment {
    /// Where it can be downloaded.
    #[schema(required = false)]
    pub link: String,
    /// Its name.
    pub file_name: String,
    /// How many bytes it has.
    pub file_size: i64,
    /// Its media type.
    pub mime_type: String,
}

/// What a file holds.
#[derive(Debug)]
pub struct FileContent;

impl PartialSchema for FileContent {
    fn schema() -> RefOr<Schema> {
        let format = SchemaFormat::KnownFormat(KnownFormat::Binary);
        ObjectBuilder::new().schema_type(Type::String).format(Some(format)).into()
    }
}

impl ToSchema for FileContent {}

/// A page of files.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttachmentPage {
    /// Which page it is, from 1.
    #[schema(required = false)]
    pub page: i32,
    /// How many files are on it.
    #[schema(required = false)]
    pub size: i32,
    /// How many files there are on all pages.
    #[schema(required = false)]
    pub total: i64,
    /// The files, by name downwards.
    #[schema(required = false)]
    pub content: Vec<Attachment>,
    /// Nothing.
    #[serde(rename = "sortableBy")]
    #[schema(required = false)]
    pub sortable_by: [&'static str; 0],
    /// The same, as the original spells it.
    #[serde(rename = "sortable_by")]
    #[schema(ignore)]
    pub sortable_by_original: [&'static str; 0],
}
