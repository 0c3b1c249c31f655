"""Addresses of the console's pages."""

from __future__ import annotations

from django.urls import URLPattern, path

from jobs.console.views import (
    account,
    adoption,
    audit,
    copy,
    fleet,
    jobs,
    leftovers,
    overview,
    stream,
    verbs,
)

urlpatterns: list[URLPattern] = [
    path("", overview.overview, name="overview"),
    path("jobs/", jobs.jobs, name="jobs"),
    path("jobs/<int:pk>/", jobs.job, name="job"),
    path("jobs/<int:pk>/speed/", verbs.speed, name="job-speed"),
    path("jobs/<int:pk>/<slug:verb>/", verbs.verb, name="job-verb"),
    path("hosts/", fleet.hosts, name="hosts"),
    path("hosts/add/", fleet.host_add, name="host-add"),
    path("hosts/<int:pk>/", fleet.host, name="host"),
    path("hosts/<int:pk>/edit/", fleet.host_edit, name="host-edit"),
    path("hosts/<int:pk>/sync/", fleet.host_sync, name="host-sync"),
    path("hosts/<int:pk>/test/", fleet.host_test, name="host-test"),
    path("domains/", fleet.domains, name="domains"),
    path("domains/<int:pk>/", fleet.domain, name="domain"),
    path("copy/", copy.copy_new, name="copy-new"),
    path("disks/<int:pk>/copy/", copy.disk_copy, name="disk-copy"),
    path("disks/<int:pk>/adopt/", adoption.adopt, name="disk-adopt"),
    path("leftovers/", leftovers.leftovers, name="leftovers"),
    path("leftovers/<int:pk>/<slug:act>/", leftovers.act, name="leftover-act"),
    path("audit/", audit.audit, name="audit"),
    path("stream/", stream.stream, name="stream"),
    path("login/", account.SignIn.as_view(), name="login"),
    path("logout/", account.SignOut.as_view(), name="logout"),
    path("preferences/", account.preferences, name="preferences"),
]
