import { queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "../api/client";

/** The account's store credit by currency. */
export const creditQuery = queryOptions({
  queryKey: ["mine", "credit"],
  queryFn: () => unwrap(api.GET("/api/gift-cards/credit")),
});

/** The purchase of a gift card. `isPaid`: its payment was confirmed here, and will arrive at the service soon. */
export const purchaseQuery = (gift_card_id: string, isPaid = false) =>
  queryOptions({
    queryKey: ["mine", "gift-card", gift_card_id],
    queryFn: () => unwrap(api.GET("/api/gift-cards/{gift_card_id}", { params: { path: { gift_card_id } } })),
    refetchInterval: ({ state: { data } }) => (isPaid && data && !data.mailed_at && !data.deliver_at ? 1500 : false),
  });
