async def test_smoke(customer):
    await customer.has_tickets()
    b = await customer.sees("confirmed")
    print(b)
