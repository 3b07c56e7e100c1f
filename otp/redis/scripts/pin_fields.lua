-- The hash of a recipient's PINs. Of the first: pinId, verification (hashes of its verification ids), client, requester,
-- purpose, nonce, to (where it was sent to another spelling of the recipient), ends (ms since 1970), attempts, again
-- (messages after the first), order, `older` if its client has a newer one, and `gone`, the order once more, if Infobip
-- does not know it any more; of others the same, as 2:pinId to 5:pinId. A PIN that was used just now has only order,
-- client and ends.
local PLACES, MOST = {'', '2:', '3:', '4:', '5:'}, 3 -- PINs that were used just now have places, too
local FIELDS = {'pinId', 'verification', 'requester', 'purpose', 'nonce', 'to', 'attempts', 'again', 'older', 'gone'}

local function is_gone(gone, order) return gone and gone == (order or '') end

-- The place of the PIN with this pinId, and whether it is gone; nil if the recipient does not have it.
local function find_place(pin_id)
  for _, place in ipairs(PLACES) do
    local pin = redis.call('HMGET', KEYS[1], place .. 'pinId', place .. 'gone', place .. 'order')
    if pin[1] == pin_id then return place, is_gone(pin[2], pin[3]) end
  end
end

-- Removes what a place has of a PIN, but its order, client and end.
local function clear(place)
  local names = {}
  for i, name in ipairs(FIELDS) do names[i] = place .. name end
  redis.call('HDEL', KEYS[1], unpack(names))
end
