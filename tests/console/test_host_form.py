"""Adding and changing a host: who may, what is kept, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from jobs.models import AuditEntry, Host, Site
from tests.conftest import signed_in
from tests.console.rows import text_of

Outcome = AuditEntry.Outcome


SSH = {
    "name": "birch",
    "transport": "ssh",
    "host_name": "birch.example",
    "port": "2222",
    "user": "console",
    "mode": "system",
    "enabled": "on",
    "reason": "new rack",
}


class TestHostForm:
    def post(self, by: User, **fields: Any) -> Any:
        site = Site.objects.get()
        return signed_in(by).post(
            reverse("host-add"), {**SSH, "site": site.pk, **fields}
        )

    def test_adds(self, ada: User) -> None:
        response = self.post(ada)
        host = Host.objects.get(name="birch")
        assert response.status_code == 302
        assert response.url == reverse("host", args=[host.pk])
        assert (host.address.host_name, host.address.port) == ("birch.example", 2222)
        entry = AuditEntry.objects.get(action="add host")
        assert (entry.actor, entry.reason) == ("ada", "new rack")

    @pytest.mark.parametrize("name", ["olga", "victor", "otto"])
    def test_is_for_administrators(self, name: str, request: Any) -> None:
        user = request.getfixturevalue(name)
        assert signed_in(user).get(reverse("host-add")).status_code == 403
        assert self.post(user).status_code == 403
        assert not Host.objects.exists()

    def test_edits(self, ada: User, host: Host) -> None:
        address = reverse("host-edit", args=[host.pk])
        assert signed_in(ada).get(address).status_code == 200
        signed_in(ada).post(address, {**SSH, "site": host.site_id, "name": "alder"})
        host.refresh_from_db()
        assert host.transport == "ssh"
        entry = AuditEntry.objects.get(action="change host")
        assert "transport: local → ssh" in entry.intent

    def test_marks_as_production(self, ada: User, host: Host) -> None:
        address = reverse("host-edit", args=[host.pk])
        fields = {"name": "alder", "transport": "local", "mode": "system"}
        post = {**fields, "site": host.site_id, "enabled": "on", "production": "on"}
        signed_in(ada).post(address, post)
        host.refresh_from_db()
        assert host.production
        entry = AuditEntry.objects.get(action="change host")
        assert entry.intent == "production: False → True"
        for page in ("hosts", "host"):
            args = [host.pk] if page == "host" else []
            assert '"tag-words">production</span>' in text_of(
                signed_in(ada).get(reverse(page, args=args))
            )

    def test_edit_of_no_host(self, ada: User) -> None:
        assert signed_in(ada).get(reverse("host-edit", args=[1])).status_code == 404

    @pytest.mark.parametrize(
        ("field", "value", "said"),
        [
            ("host_name", "", "The host name is missing."),
            ("host_name", "x;rm -rf /", "This is not a host name."),
            ("host_name", "qemu+ext:///system?command=/x", "This is not a host name."),
            ("port", "70000", "The port must be"),
            ("port", "-1", "greater than or equal to 0"),
            ("user", "a b", "characters it cannot have"),
            ("name", "alder & co", "Use letters, digits"),
            ("name", "alder", "There is a host called alder already."),
            ("transport", "ext", "not one of the available choices"),
        ],
    )
    def test_says_beside_the_field_what_is_wrong(
        self, field: str, value: str, said: str, ada: User, host: Host
    ) -> None:
        response = self.post(ada, **{field: value})
        assert response.status_code == 422
        assert said in str(response.context["form"].errors[field])
        assert said in text_of(response)
        assert Host.objects.count() == 1

    def test_says_at_once_all_that_is_wrong(self, ada: User, host: Host) -> None:
        wrong = {"name": "alder", "host_name": "bad host!", "port": "99999999"}
        errors = self.post(ada, **wrong).context["form"].errors
        assert set(errors) == set(wrong)
        assert "from 1 to 65535" in str(errors["port"])

    def test_a_port_that_is_not_used_is_not_complained_of(self, ada: User) -> None:
        assert self.post(ada, transport="local", port="99999999").status_code == 302

    def test_keeps_what_was_typed(self, ada: User) -> None:
        text = text_of(self.post(ada, port="70000"))
        for typed in ("birch.example", "70000", "console", "new rack"):
            assert f'value="{typed}"' in text

    @pytest.mark.parametrize(
        ("transport", "kept"),
        [
            ("local", {}),
            ("tls", {"host_name": "birch.example", "port": 2222}),
            (
                "ssh",
                {"host_name": "birch.example", "port": 2222, "user": "console"},
            ),
        ],
    )
    def test_keeps_only_what_the_transport_uses(
        self, transport: str, kept: dict[str, Any], ada: User
    ) -> None:
        self.post(ada, transport=transport, socket="/etc/passwd")
        host = Host.objects.get(name="birch")
        used = {"host_name": "", "port": None, "user": "", "socket": ""} | kept
        assert {name: getattr(host, name) for name in used} == used

    def test_refuses_a_socket_that_the_settings_do_not_allow(self, ada: User) -> None:
        response = self.post(ada, transport="socket", socket="/etc/shadow")
        assert "do not allow this socket" in text_of(response)

    def test_a_hidden_field_never_stops_the_form(self, ada: User) -> None:
        assert self.post(ada, transport="local", port="nonsense").status_code == 302
