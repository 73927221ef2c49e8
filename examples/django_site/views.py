from __future__ import annotations

from decimal import Decimal

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_POST

from examples.django_site.tasks import write_receipt


@require_POST
def receipt(request: HttpRequest, order: int) -> JsonResponse:
    message = write_receipt.send(order, Decimal(request.POST["amount"]))
    return JsonResponse({"message_id": message.message_id}, status=202)
