"""Buys one unit by the client that openapi-generator makes of the document, and prints what became of
it. The argument is the gateway's URL."""

import json
import sys
import time

import openapi_client
from openapi_client.models import Credentials, Purchase, RpcStatus, Wish


def reason(refused):
    """Why, as the refusal's ErrorInfo says."""
    for detail in RpcStatus.from_json(refused.body).details:
        if type(detail.actual_instance).__name__ == "ErrorInfo":
            return detail.actual_instance.reason
    raise ValueError("a refusal without a reason")


def insist(ask):
    """Comes back when it is told to."""
    for attempt in range(1, 51):
        try:
            return ask(attempt)
        except openapi_client.exceptions.ServiceException as refused:
            if refused.status != 503:
                raise
            time.sleep(0.2)
    raise TimeoutError("told to come back too often")


at = openapi_client.Configuration(host=sys.argv[1])
api = openapi_client.ApiClient(at)
people, sales = openapi_client.PeopleApi(api), openapi_client.SalesApi(api)
buying, orders = openapi_client.BuyingApi(api), openapi_client.OrdersApi(api)

account = Credentials(email="python@example.org", password="correct horse")
people.register(account)
at.access_token = people.sign_in(account).access_token

try:
    buying.purchase(Purchase(ticket="forged", attempt=1))
    sys.exit("a forged ticket is taken")
except openapi_client.exceptions.BadRequestException as refused:
    assert reason(refused) == "TICKET_INVALID", refused

sale = sales.get_sale(sales.list_sales().sales[0].sale_id)
wish = Wish(item_id=sale.items[0].item_id, quantity=1, request_id="first")
ticket = insist(lambda _: buying.issue_ticket(wish)).ticket
bought = insist(lambda attempt: buying.purchase(Purchase(ticket=ticket, attempt=attempt)))
order = orders.get_order(bought.order_id, seckill_ticket=ticket)
print(json.dumps({"bought": bought.state.value, "order": order.state.value}))
