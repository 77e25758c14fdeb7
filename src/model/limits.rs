//! Limits that the published contract leaves open and a server must have all the same.

use clap::Args;

use super::{
    AuthDetailsHolder, Awaited, BatchDelete, Comment, CompleteMultipartUploadRequest, DeleteAttachmentsRequest,
    DeleteFeedbackScore, DeleteThreadFeedbackScores, DeleteTraceThreads, EnvironmentUpdate, EnvironmentWrite, Fault,
    FeedbackCreate, FeedbackScore, FeedbackScoreBatch, FeedbackScoreBatchThread, FeedbackUpdate, KpiCardRequest,
    ProjectMetricRequest, ProjectName, ProjectRetrieve, ProjectUpdate, ProjectWrite, SpanBatchUpdate, SpanBatchWrite,
    SpanSearchStreamRequest, SpanUpdate, SpanWrite, StartMultipartUploadRequest, Tags, TraceBatchUpdate,
    TraceBatchWrite, TraceSearchStreamRequest, TraceThreadBatchIdentifier, TraceThreadBatchUpdate,
    TraceThreadIdentifier, TraceThreadSearchStreamRequest, TraceThreadUpdate, TraceUpdate, TraceWrite, Violation,
    WorkspaceConfiguration,
};

/// How long texts may be. Generous: they keep a runaway client from filling the store, nothing more.
#[derive(Debug, Clone, Copy, Args)]
pub struct TextLimits {
    /// Longest name, model, provider or thread id of a span or trace, or name of an attachment, in characters.
    #[arg(long, env = "SPANDREL_NAME_CHARS_MAX", default_value_t = 20_000, value_name = "CHARACTERS")]
    pub name_chars_max: usize,
    /// Longest project name, in characters.
    #[arg(long, env = "SPANDREL_PROJECT_NAME_CHARS_MAX", default_value_t = 1_000, value_name = "CHARACTERS")]
    pub project_name_chars_max: usize,
    /// Most tags of one span or trace when it is created; the contract limits updates to 50.
    #[arg(long, env = "SPANDREL_TAGS_MAX", default_value_t = 1_000, value_name = "TAGS")]
    pub tags_max: usize,
    /// Longest tag of a span or trace when it is created, in characters; the contract limits updates to 100.
    #[arg(long, env = "SPANDREL_TAG_CHARS_MAX", default_value_t = 1_000, value_name = "CHARACTERS")]
    pub tag_chars_max: usize,
    /// Most environments of a workspace; further ones that spans and traces name are not listed.
    #[arg(long, env = "SPANDREL_ENVIRONMENTS_MAX", default_value_t = 100, value_name = "ENVIRONMENTS")]
    pub environments_max: usize,
}

/// A body whose texts are held to [`TextLimits`].
pub trait Limited {
    /// Adds what is too long to `found`; `pointer` and `path` tell where this value stands.
    fn over_limits(&self, limits: &TextLimits, pointer: &str, path: &str, found: &mut Vec<Violation>);
}

/// Whether anything is too long: asked first where there are many, so that no names of places are made for nothing.
fn is_over(body: &impl Limited, limits: &TextLimits) -> bool {
    let mut found = Vec::new();
    body.over_limits(limits, "", "", &mut found);
    !found.is_empty()
}

struct Check<'a> {
    pointer: &'a str,
    path: &'a str,
    found: &'a mut Vec<Violation>,
}

impl Check<'_> {
    fn text(&mut self, name: &str, original: &str, text: Option<&str>, chars_max: usize) {
        // Bytes are never fewer than characters: most texts are not counted.
        if text.is_some_and(|text| text.len() > chars_max && text.chars().count() > chars_max) {
            self.add(name, original, &format!("cannot exceed {chars_max} characters"));
        }
    }

    fn tags(&mut self, tags: Option<&Tags>, limits: &TextLimits) {
        let Some(tags) = tags else { return };
        if tags.iter().count() > limits.tags_max {
            self.add("tags", "tags", &format!("Cannot have more than {} tags", limits.tags_max));
        }
        // What is beyond the most that may be is refused as a whole.
        for (index, tag) in tags.iter().enumerate().take(limits.tags_max) {
            // Names of places are made for the few that are told.
            if tag.len() > limits.tag_chars_max {
                let name = format!("tags/{index}");
                self.text(&name, &format!("tags[].{}", super::ITEM), Some(tag), limits.tag_chars_max);
            }
        }
    }

    fn add(&mut self, name: &str, original: &str, message: &str) {
        let dot = if self.path.is_empty() { "" } else { "." };
        let (pointer, path) = (format!("{}/{name}", self.pointer), format!("{}{dot}{original}", self.path));
        self.found.push(Violation::new(&pointer, &path, message));
    }
}

impl Limited for SpanWrite {
    fn over_limits(&self, limits: &TextLimits, pointer: &str, path: &str, found: &mut Vec<Violation>) {
        let mut check = Check { pointer, path, found };
        let project_name = self.project_name.as_ref().map(ProjectName::trimmed);
        check.text("project_name", "projectName", project_name, limits.project_name_chars_max);
        check.text("name", "name", self.name.as_deref(), limits.name_chars_max);
        check.text("model", "model", self.model.as_deref(), limits.name_chars_max);
        check.text("provider", "provider", self.provider.as_deref(), limits.name_chars_max);
        check.tags(self.tags.as_ref(), limits);
    }
}

impl Limited for SpanBatchWrite {
    fn over_limits(&self, limits: &TextLimits, pointer: &str, path: &str, found: &mut Vec<Violation>) {
        let dot = if path.is_empty() { "" } else { "." };
        for (index, span) in self.spans.iter().flat_map(|spans| &spans.0).enumerate() {
            if is_over(span, limits) {
                let (pointer, path) = (format!("{pointer}/spans/{index}"), format!("{path}{dot}spans[{index}]"));
                span.over_limits(limits, &pointer, &path, found);
            }
        }
    }
}

impl Limited for SpanBatchUpdate {
    fn over_limits(&self, limits: &TextLimits, pointer: &str, path: &str, found: &mut Vec<Violation>) {
        if let Some(update) = &self.update {
            let dot = if path.is_empty() { "" } else { "." };
            update.over_limits(limits, &format!("{pointer}/update"), &format!("{path}{dot}update"), found);
        }
    }
}

impl Limited for FeedbackScore {
    fn over_limits(&self, limits: &TextLimits, pointer: &str, path: &str, found: &mut Vec<Violation>) {
        let mut check = Check { pointer, path, found };
        let name = self.name.as_ref().map(|name| name.0.as_str());
        check.text("name", "name", name, limits.name_chars_max);
        check.text("category_name", "categoryName", self.category_name.as_deref(), limits.name_chars_max);
    }
}

impl Limited for FeedbackScoreBatch {
    fn over_limits(&self, limits: &TextLimits, pointer: &str, path: &str, found: &mut Vec<Violation>) {
        for (index, score) in self.scores.iter().flat_map(|scores| &scores.0).enumerate() {
            let (pointer, path) = (format!("{pointer}/scores/{index}"), format!("{path}scores[{index}]"));
            let mut check = Check { pointer: &pointer, path: &path, found };
            let name = score.name.as_ref().map(|name| name.0.as_str());
            check.text("name", "name", name, limits.name_chars_max);
            check.text("category_name", "categoryName", score.category_name.as_deref(), limits.name_chars_max);
            check.text("author", "author", score.author.as_deref(), limits.name_chars_max);
        }
    }
}

impl Limited for FeedbackScoreBatchThread {
    fn over_limits(&self, limits: &TextLimits, pointer: &str, path: &str, found: &mut Vec<Violation>) {
        for (index, score) in self.scores.iter().flat_map(|scores| &scores.0).enumerate() {
            let (pointer, path) = (format!("{pointer}/scores/{index}"), format!("{path}scores[{index}]"));
            let mut check = Check { pointer: &pointer, path: &path, found };
            let project_name = score.project_name.as_ref().map(ProjectName::trimmed);
            check.text("project_name", "projectName", project_name, limits.project_name_chars_max);
            check.text("name", "name", score.name.as_ref().map(|name| name.0.as_str()), limits.name_chars_max);
            check.text(
                "thread_id",
                "threadId",
                score.thread_id.as_ref().map(|id| id.0.as_str()),
                limits.name_chars_max,
            );
            check.text("category_name", "categoryName", score.category_name.as_deref(), limits.name_chars_max);
            check.text("author", "author", score.author.as_deref(), limits.name_chars_max);
        }
    }
}

/// Bodies without texts of their own that are kept: the size of the body bounds them.
macro_rules! nothing_to_limit {
    ($($body:ty),+ $(,)?) => {
        $(impl Limited for $body {
            fn over_limits(&self, _: &TextLimits, _: &str, _: &str, _: &mut Vec<Violation>) {}
        })+
    };
}

nothing_to_limit!(
    AuthDetailsHolder,
    Awaited,
    BatchDelete,
    Comment,
    CompleteMultipartUploadRequest,
    DeleteAttachmentsRequest,
    DeleteFeedbackScore,
    DeleteThreadFeedbackScores,
    DeleteTraceThreads,
    EnvironmentUpdate,
    EnvironmentWrite,
    Fault,
    KpiCardRequest,
    ProjectMetricRequest,
    ProjectRetrieve,
    SpanSearchStreamRequest,
    TraceSearchStreamRequest,
    TraceThreadBatchIdentifier,
    TraceThreadBatchUpdate,
    TraceThreadIdentifier,
    TraceThreadSearchStreamRequest,
    TraceThreadUpdate,
);

impl Limited for ProjectWrite {
    fn over_limits(&self, limits: &TextLimits, pointer: &str, path: &str, found: &mut Vec<Violation>) {
        let name = self.name.as_ref().map(|name| name.0.as_str());
        Check { pointer, path, found }.text("name", "name", name, limits.project_name_chars_max);
    }
}

impl Limited for ProjectUpdate {
    fn over_limits(&self, limits: &TextLimits, pointer: &str, path: &str, found: &mut Vec<Violation>) {
        let name = self.name.as_ref().map(|name| name.0.as_str());
        Check { pointer, path, found }.text("name", "name", name, limits.project_name_chars_max);
    }
}

impl Limited for StartMultipartUploadRequest {
    fn over_limits(&self, limits: &TextLimits, pointer: &str, path: &str, found: &mut Vec<Violation>) {
        let mut check = Check { pointer, path, found };
        let project_name = self.project_name.as_ref().map(ProjectName::trimmed);
        check.text("project_name", "projectName", project_name, limits.project_name_chars_max);
        let file_name = self.file_name.as_ref().map(|name| name.0.as_str());
        check.text("file_name", "fileName", file_name, limits.name_chars_max);
        check.text("mime_type", "mimeType", self.mime_type.as_deref(), limits.name_chars_max);
    }
}

impl Limited for FeedbackCreate {
    fn over_limits(&self, limits: &TextLimits, pointer: &str, path: &str, found: &mut Vec<Violation>) {
        let name = self.0.name.as_ref().map(|name| name.0.as_str());
        Check { pointer, path, found }.text("name", "name", name, limits.name_chars_max);
    }
}

impl Limited for FeedbackUpdate {
    fn over_limits(&self, limits: &TextLimits, pointer: &str, path: &str, found: &mut Vec<Violation>) {
        let name = self.0.name.as_ref().map(|name| name.0.as_str());
        Check { pointer, path, found }.text("name", "name", name, limits.name_chars_max);
    }
}

/// Entries of a colour map. From the published contract, which says it in words only.
const COLORS_MAX: usize = 10_000;

impl Limited for WorkspaceConfiguration {
    fn over_limits(&self, limits: &TextLimits, pointer: &str, path: &str, found: &mut Vec<Violation>) {
        let Some(colors) = &self.color_map else { return };
        let mut check = Check { pointer, path, found };
        if colors.len() > COLORS_MAX {
            return check.add("color_map", "colorMap", &format!("size must be between 0 and {COLORS_MAX}"));
        }
        for (label, color) in colors {
            let name = format!("color_map/{}", label.replace('~', "~0").replace('/', "~1"));
            let original = format!("colorMap[{label}]");
            check.text(&name, &original, Some(label), limits.name_chars_max);
            let digits = color.strip_prefix('#').unwrap_or_default();
            if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                check.add(&name, &original, "Color must be a valid hex color (e.g. #FF0000)");
            }
        }
    }
}

impl Limited for SpanUpdate {
    fn over_limits(&self, limits: &TextLimits, pointer: &str, path: &str, found: &mut Vec<Violation>) {
        let mut check = Check { pointer, path, found };
        let project_name = self.project_name.as_ref().map(ProjectName::trimmed);
        check.text("project_name", "projectName", project_name, limits.project_name_chars_max);
        check.text("name", "name", self.name.as_deref(), limits.name_chars_max);
        check.text("model", "model", self.model.as_deref(), limits.name_chars_max);
        check.text("provider", "provider", self.provider.as_deref(), limits.name_chars_max);
    }
}

impl Limited for TraceWrite {
    fn over_limits(&self, limits: &TextLimits, pointer: &str, path: &str, found: &mut Vec<Violation>) {
        let mut check = Check { pointer, path, found };
        let project_name = self.project_name.as_ref().map(ProjectName::trimmed);
        check.text("project_name", "projectName", project_name, limits.project_name_chars_max);
        check.text("name", "name", self.name.as_deref(), limits.name_chars_max);
        check.text("thread_id", "threadId", self.thread_id.as_deref(), limits.name_chars_max);
        check.tags(self.tags.as_ref(), limits);
    }
}

impl Limited for TraceBatchWrite {
    fn over_limits(&self, limits: &TextLimits, pointer: &str, path: &str, found: &mut Vec<Violation>) {
        let dot = if path.is_empty() { "" } else { "." };
        for (index, trace) in self.traces.iter().flat_map(|traces| &traces.0).enumerate() {
            let (pointer, path) = (format!("{pointer}/traces/{index}"), format!("{path}{dot}traces[{index}]"));
            trace.over_limits(limits, &pointer, &path, found);
        }
    }
}

impl Limited for TraceUpdate {
    fn over_limits(&self, limits: &TextLimits, pointer: &str, path: &str, found: &mut Vec<Violation>) {
        let mut check = Check { pointer, path, found };
        let project_name = self.project_name.as_ref().map(ProjectName::trimmed);
        check.text("project_name", "projectName", project_name, limits.project_name_chars_max);
        check.text("name", "name", self.name.as_deref(), limits.name_chars_max);
        check.text("thread_id", "threadId", self.thread_id.as_deref(), limits.name_chars_max);
    }
}

impl Limited for TraceBatchUpdate {
    fn over_limits(&self, limits: &TextLimits, pointer: &str, path: &str, found: &mut Vec<Violation>) {
        if let Some(update) = &self.update {
            let dot = if path.is_empty() { "" } else { "." };
            update.over_limits(limits, &format!("{pointer}/update"), &format!("{path}{dot}update"), found);
        }
    }
}
