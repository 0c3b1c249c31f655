"""Addresses of the console's pages."""

from __future__ import annotations

from django.urls import URLPattern, path

from jobs.console.views import (
    account,
    adoption,
    audit,
    bulk,
    copy,
    copy_several,
    fleet,
    jobs,
    leftovers,
    overview,
    preferences,
    stream,
    styleguide,
    verbs,
    views,
)

urlpatterns: list[URLPattern] = [
    path("", overview.overview, name="overview"),
    path("jobs/", jobs.jobs, name="jobs"),
    path("jobs/views/", views.views, name="views"),
    path("jobs/views/<int:pk>/<slug:act>/", views.act, name="view-act"),
    path("jobs/bulk/", bulk.bulk, name="jobs-bulk"),
    path("jobs/<int:pk>/", jobs.job, name="job"),
    path("jobs/<int:pk>/events.<slug:form>", jobs.events, name="job-events"),
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
    path("domains/<int:pk>/copy/", copy_several.domain_copy, name="domain-copy"),
    path("copy/", copy.copy_new, name="copy-new"),
    path("disks/<int:pk>/copy/", copy.disk_copy, name="disk-copy"),
    path("disks/<int:pk>/adopt/", adoption.adopt, name="disk-adopt"),
    path("leftovers/", leftovers.leftovers, name="leftovers"),
    path("leftovers/<int:pk>/<slug:act>/", leftovers.act, name="leftover-act"),
    path("audit/", audit.audit, name="audit"),
    path("audit/export/<slug:form>/", audit.export, name="audit-export"),
    path("stream/", stream.stream, name="stream"),
    path("styleguide/", styleguide.styleguide, name="styleguide"),
    path("login/", account.SignIn.as_view(), name="login"),
    path("logout/", account.SignOut.as_view(), name="logout"),
    path("account/", preferences.account, name="account"),
    path("account/password/", preferences.ChangePassword.as_view(), name="password"),
    path("preferences/", preferences.preferences, name="preferences"),
]
