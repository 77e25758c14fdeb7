#!/usr/bin/env python3
"""Drives the operations around projects with the low-level client of the official Python package `opik`.

    pip install opik
    python tests/sdk/projects.py http://127.0.0.1:5173/api

The last line is 'N passed, N failed'; the exit status is 1 when a check failed.
"""

import datetime as dt
import sys

from check import check, finish, status_of, unique
from opik.api_objects.helpers import generate_id
from opik.rest_api import OpikApi
from opik.rest_api.types.boolean_feedback_detail_create import BooleanFeedbackDetailCreate
from opik.rest_api.types.categorical_feedback_detail_update import CategoricalFeedbackDetailUpdate
from opik.rest_api.types.feedback_create import FeedbackCreate_Boolean
from opik.rest_api.types.feedback_update import FeedbackUpdate_Categorical

api = OpikApi(base_url=sys.argv[1])
NAME = unique("sdk")


def start() -> None:
    api.check.access(request={})
    check("workspace", api.check.get_workspace_name().workspace_name, "default")
    permissions = api.workspace_permissions.get_workspace_user_permissions()
    check("permissions", (permissions.user_name, permissions.workspace_name, permissions.permissions), ("admin", "default", []))
    toggles = api.service_toggles.get_service_toggles()
    check("toggles", (toggles.opik_ai_enabled, toggles.default_page_size), (False, 100))


def projects() -> None:
    api.projects.create_project(name=NAME, description="d", visibility="public")
    project = api.projects.retrieve_project(name=NAME.upper())
    check("project", (project.name, project.description, project.visibility), (NAME, "d", "public"))
    check("project is dated", isinstance(project.created_at, dt.datetime), True)
    api.projects.update_project(id=project.id, description="e")
    check("changed", api.projects.get_project_by_id(id=project.id).description, "e")
    page = api.projects.find_projects(page=1, size=1, name=NAME)
    check("found", ([one.id for one in page.content], page.total), ([project.id], 1))
    check("sortable", "name" in page.sortable_by, True)
    check("taken", status_of(lambda: api.projects.create_project(name=NAME)), 409)
    api.projects.delete_project_by_id(id=project.id)
    check("gone", status_of(lambda: api.projects.get_project_by_id(id=project.id)), 404)
    api.projects.delete_projects_batch(ids=[project.id])


def environments() -> None:
    id = generate_id()
    api.environments.create_environment(id=id, name=NAME, position=3)
    environment = api.environments.get_environment_by_id(id=id)
    check("environment", (environment.name, environment.position, environment.color[0]), (NAME, 3, "#"))
    api.environments.update_environment(id=id, color="#000000")
    page = api.environments.find_environments()
    check("coloured", [one.color for one in page.content if one.id == id], ["#000000"])
    api.environments.delete_environments_batch(ids=[id])
    check("no environment", status_of(lambda: api.environments.get_environment_by_id(id=id)), 404)


def definitions() -> None:
    labels = BooleanFeedbackDetailCreate(true_label="Yes", false_label="No")
    api.feedback_definitions.create_feedback_definition(request=FeedbackCreate_Boolean(name=NAME, details=labels))
    page = api.feedback_definitions.find_feedback_definitions(name=NAME, type="boolean")
    check("definitions", page.total, 1)
    id = page.content[0].id
    definition = api.feedback_definitions.get_feedback_definition_by_id(id=id)
    check("labels", (definition.details.true_label, definition.details.false_label), ("Yes", "No"))
    categories = CategoricalFeedbackDetailUpdate(categories={"good": 1.0, "bad": 0.5})
    api.feedback_definitions.update_feedback_definition(
        id=id, request=FeedbackUpdate_Categorical(name=NAME, details=categories)
    )
    definition = api.feedback_definitions.get_feedback_definition_by_id(id=id)
    check("categories", definition.details.categories, {"good": 1.0, "bad": 0.5})
    api.feedback_definitions.delete_feedback_definitions_batch(ids=[id])
    api.feedback_definitions.delete_feedback_definition_by_id(id=id)
    check("no definition", status_of(lambda: api.feedback_definitions.get_feedback_definition_by_id(id=id)), 404)


def configuration() -> None:
    stored = api.workspaces.upsert_workspace_configuration(truncation_on_tables=False, color_map={"a": "#FF0000"})
    check("stored", (stored.truncation_on_tables, stored.color_map), (False, {"a": "#FF0000"}))
    check("configuration", api.workspaces.get_workspace_configuration().color_map, {"a": "#FF0000"})
    api.workspaces.delete_workspace_configuration()
    check("no configuration", status_of(api.workspaces.get_workspace_configuration), 404)


start()
projects()
environments()
definitions()
configuration()
finish()
