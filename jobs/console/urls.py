"""Addresses of the console's pages."""

from __future__ import annotations

from django.urls import URLPattern, path

from jobs.console.views import account, jobs, overview, stream

urlpatterns: list[URLPattern] = [
    path("", overview.overview, name="overview"),
    path("jobs/", jobs.jobs, name="jobs"),
    path("jobs/<int:pk>/", jobs.job, name="job"),
    path("stream/", stream.stream, name="stream"),
    path("login/", account.SignIn.as_view(), name="login"),
    path("logout/", account.SignOut.as_view(), name="logout"),
    path("preferences/", account.preferences, name="preferences"),
]
